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
	actionPeerings  = "DescribeVpcPeeringConnections"
	actionRoutes    = "DescribeRouteTables"
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

// form is a decoded request body, and the service that it is for.
type form struct {
	url.Values
	service string
}

// parse reads a request: its parameters and what it asks for.
func parse(r *http.Request, body []byte) (form, string) {
	if f, action, ok := quotasCall(r, body); ok {
		return f, action
	}
	values, _ := url.ParseQuery(string(body)) // what cannot be read lacks an action
	return form{values, pick(values.Get("Version") == versionSTS, serviceSTS, serviceEC2)}, values.Get("Action")
}

// speaks tells whether the service has the action, in the version asked for.
func (f form) speaks(action string) bool {
	switch f.service {
	case serviceQuotas:
		return action == actionQuota
	case serviceSTS:
		return action == actionIdentity
	}
	return f.Get("Version") == versionEC2 && slices.Contains(ec2Actions(), action)
}

// ServeHTTP implements [http.Handler].
func (s *EC2) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, maxBody))
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	f, action := parse(r, body)

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
	w.Header().Set("Content-Type", dialectOf(f.service).contentType)
	w.Header().Set("X-Amzn-Requestid", id)
	if failure != nil {
		w.WriteHeader(failure.status)
		_, _ = w.Write(failure.encode(id, f.service))
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
	switch r.form.service {
	case serviceSTS:
		return &answer{identity: s.identity(who)}, nil
	case serviceQuotas:
		return s.quota(r.form)
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
		failure = dialectOf(r.form.service).broken.because("An internal error has occurred.")
	}
	if failure != nil || isWrite(r.action) {
		return &answer{}, failure
	}
	return s.describe(r.form, r.action, s.seenAt(now, r.action))
}

// refuse gives the error of a request that has no effect whatever it asks for.
func (s *EC2) refuse(r request, now time.Time) *apiError {
	d := dialectOf(r.form.service)
	switch {
	case r.http.Method != http.MethodPost || r.action == "":
		return fail(http.StatusBadRequest, "MissingAction", "The request is missing an action or a required parameter.")
	case !r.form.speaks(r.action):
		return d.unknown.because("The action %s is not valid for this web service.", r.action)
	case r.fate == throttled || !s.take(r.action, now):
		return d.throttled.because("Request limit exceeded.")
	case r.fate == failed:
		return d.broken.because("An internal error has occurred.")
	case slices.Contains(s.faults.Denied, r.action):
		return d.denied.because("You are not authorized to perform this operation.")
	case r.form.Get("DryRun") == "true":
		return fail(http.StatusPreconditionFailed, "DryRunOperation", "Request would have succeeded, but DryRun flag is set.")
	}
	return nil
}

func ec2Actions() []string {
	return []string{actionDescribe, actionCreate, actionReplace, actionDelete,
		actionVPCs, actionSubnets, actionAddresses, actionNATs, actionPeerings, actionRoutes}
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
