package sim

import (
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"time"
)

const (
	versionEC2 = "2016-11-15"
	versionSTS = "2011-06-15"

	actionDescribe  = "DescribeNetworkAcls"
	actionCreate    = "CreateNetworkAclEntry"
	actionReplace   = "ReplaceNetworkAclEntry"
	actionDelete    = "DeleteNetworkAclEntry"
	actionVPCs      = "DescribeVpcs"
	actionSubnets   = "DescribeSubnets"
	actionAddresses = "DescribeAddresses"
	actionNATs      = "DescribeNatGateways"
	actionIdentity  = "GetCallerIdentity"

	maxBody = 1 << 20
)

// apiError is an error answer of the Query protocol.
type apiError struct {
	status        int
	code, message string
}

func fail(status int, code, format string, args ...any) *apiError {
	return &apiError{status, code, fmt.Sprintf(format, args...)}
}

// form is a decoded request body.
type form struct{ url.Values }

func (f form) isSTS() bool { return f.Get("Version") == versionSTS }

// ServeHTTP implements [http.Handler].
func (s *EC2) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	values, _ := url.ParseQuery(string(body)) // what cannot be read lacks an action
	f := form{values}
	action := f.Get("Action")

	s.mu.Lock()
	arrived := time.Now()
	call := s.calls.add(newCall(arrived, action, f))
	fate := s.draw(action)
	before, after := s.faults.Latency, s.faults.AnswerLatency
	s.mu.Unlock()

	pauseOrAbort(r.Context(), before)

	s.mu.Lock()
	now := time.Now()
	s.settle(now)
	answer, failure := s.handle(request{r, body, f, action, fate, arrived}, now, call)
	s.requests++
	id := fmt.Sprintf("%08x-0000-4000-8000-%012x", s.rng.Uint32(), s.requests)
	s.mu.Unlock()

	if fate == reset || fate == lost || fate == late {
		panic(http.ErrAbortHandler)
	}
	pauseOrAbort(r.Context(), after)
	s.mu.Lock()
	call.Answered = true
	if failure != nil {
		call.Code = failure.code
	}
	s.mu.Unlock()
	w.Header().Set("Date", time.Now().UTC().Format(http.TimeFormat))
	w.Header().Set("Content-Type", "text/xml;charset=UTF-8")
	w.Header().Set("X-Amzn-Requestid", id)
	if failure != nil {
		w.WriteHeader(failure.status)
		_, _ = w.Write(errorXML(failure, id, f.isSTS()))
		return
	}
	_, _ = w.Write(answer.encode(action, id))
}

func newCall(now time.Time, action string, f form) Call {
	c := Call{Time: now, Action: action, DryRun: f.Get("DryRun") == "true"}
	if isWrite(action) {
		c.ACL, c.Egress = f.Get("NetworkAclId"), f.Get("Egress") == "true"
		c.Number, _ = strconv.Atoi(f.Get("RuleNumber"))
		c.CIDR = f.Get("CidrBlock") + f.Get("Ipv6CidrBlock")
	}
	return c
}

// request is one request with what was decided about it on arrival.
type request struct {
	http    *http.Request
	body    []byte
	form    form
	action  string
	fate    fate
	arrived time.Time
}

// handle gives the answer to a request and makes its effect, in EC2's order:
// credentials, throttling, permission, dry run, and only then the parameters.
func (s *EC2) handle(r request, now time.Time, call *Call) (*answer, *apiError) {
	if r.fate == reset {
		return nil, nil
	}
	who, signed, failure := s.authenticate(r.http, r.body, r.form, r.arrived)
	if failure != nil {
		return nil, failure
	}
	if failure := s.refuse(r, now); failure != nil {
		return nil, failure
	}
	if r.action == actionIdentity && r.form.isSTS() {
		return &answer{identity: s.identity(who)}, nil
	}
	if isWrite(r.action) {
		if r.fate == late {
			s.land(lateWrite{due: now.Add(s.faults.LateBy), signed: signed, action: r.action, form: r.form, call: call})
			return nil, nil
		}
		failure = s.write(now, r.action, r.form)
		call.Applied = failure == nil
	}
	if failure == nil && r.fate == failedApplied {
		failure = internalError()
	}
	if failure != nil || isWrite(r.action) {
		return &answer{}, failure
	}
	return s.describe(r.form, r.action, s.seenAt(now, r.action))
}

// refuse gives the error of a request that has no effect whatever it asks for.
func (s *EC2) refuse(r request, now time.Time) *apiError {
	want := versionEC2
	if r.action == actionIdentity {
		want = versionSTS
	}
	switch {
	case r.http.Method != http.MethodPost || r.action == "":
		return fail(http.StatusBadRequest, "MissingAction", "The request is missing an action or a required parameter.")
	case !slices.Contains(knownActions(), r.action) || r.form.Get("Version") != want:
		return fail(http.StatusBadRequest, "InvalidAction", "The action %s is not valid for this web service.", r.action)
	case r.fate == throttled || !s.take(r.action, now):
		return fail(http.StatusServiceUnavailable, "RequestLimitExceeded", "Request limit exceeded.")
	case r.fate == failed:
		return internalError()
	case slices.Contains(s.faults.Denied, r.action):
		return fail(http.StatusForbidden, "UnauthorizedOperation", "You are not authorized to perform this operation.")
	case r.form.Get("DryRun") == "true":
		return fail(http.StatusPreconditionFailed, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
	}
	return nil
}

func knownActions() []string {
	return []string{actionDescribe, actionCreate, actionReplace, actionDelete,
		actionVPCs, actionSubnets, actionAddresses, actionNATs, actionIdentity}
}

func internalError() *apiError {
	return fail(http.StatusInternalServerError, "InternalError", "An internal error has occurred.")
}

// land keeps a write that takes effect later.
func (s *EC2) land(l lateWrite) {
	i, _ := slices.BinarySearchFunc(s.landing, l, func(a, b lateWrite) int {
		if !a.due.After(b.due) {
			return -1
		}
		return 1
	})
	s.landing = slices.Insert(s.landing, i, l)
}
