package sim

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

const (
	quotasType   = "application/x-amz-json-1.1"
	quotasTarget = "ServiceQuotasV20190624." // before the action in X-Amz-Target

	actionQuota = "GetServiceQuota"

	// The quota of entries for each direction and family of a network ACL.
	quotaService = "vpc"
	quotaCode    = "L-2AEEBF1A"
)

// SetQuota sets the quota of entries for each direction and family, as when AWS
// has granted another one. Entries beyond it stay.
func (s *EC2) SetQuota(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.config.Quota = n
}

// quotasCall reads a request of the JSON protocol: the action is in the header,
// the parameters are in the body.
func quotasCall(r *http.Request, body []byte) (form, string, bool) {
	action, ok := strings.CutPrefix(r.Header.Get("X-Amz-Target"), quotasTarget)
	if !ok {
		return form{}, "", false
	}
	var in struct{ ServiceCode, QuotaCode string }
	_ = json.Unmarshal(body, &in) // what cannot be read lacks its parameters
	return form{url.Values{"ServiceCode": {in.ServiceCode}, "QuotaCode": {in.QuotaCode}}, serviceQuotas}, action, true
}

// quotaJSON is the answer of GetServiceQuota.
type quotaJSON struct {
	Quota struct {
		ServiceCode, ServiceName, QuotaArn, QuotaCode, QuotaName string

		Value                   float64
		Unit                    string
		Adjustable, GlobalQuota bool
	}
}

// quota answers the quota that writes are held to, and knows no other.
func (s *EC2) quota(f form) (*answer, *apiError) {
	service, code := f.Get("ServiceCode"), f.Get("QuotaCode")
	switch {
	case service == "" || code == "":
		return nil, badRequest("IllegalArgumentException", "ServiceCode and QuotaCode must be given.")
	case service != quotaService || code != quotaCode:
		return nil, badRequest("NoSuchResourceException", "The request failed because the specified resource does not exist.")
	}
	var out quotaJSON
	q := &out.Quota
	q.ServiceCode, q.ServiceName = service, "Amazon Virtual Private Cloud (Amazon VPC)"
	q.QuotaCode, q.QuotaName = code, "Rules per network ACL"
	q.QuotaArn = fmt.Sprintf("arn:aws:servicequotas:%s:%s:%s/%s", s.config.Region, s.config.AccountID, service, code)
	q.Value, q.Unit, q.Adjustable = float64(s.config.Quota), "None", true
	return &answer{quota: &out}, nil
}

func jsonDocument(v any) []byte {
	b, err := json.Marshal(v)
	if err != nil {
		panic(fmt.Errorf("encode an answer: %w", err)) // its types are fixed
	}
	return b
}

func errorJSON(e *apiError) []byte {
	return jsonDocument(map[string]string{"__type": e.code, "Message": e.message})
}
