package nacl

import (
	"context"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/servicequotas"
	"github.com/aws/smithy-go"
)

const (
	// The quota of entries for each direction and family of a network ACL. It
	// holds for all network ACLs of an account in a region.
	quotaService = "vpc"
	quotaCode    = "L-2AEEBF1A"
	mostQuota    = 1000 // what lies beyond is a mistake: AWS grants 40

	// quotaEvery is how often it is asked for, whatever came of it: AWS takes days
	// to grant another one, and a right that is missing stays so for long.
	quotaEvery = time.Hour
	// quotaTimeout bounds a question with all its retries: the entries must not
	// wait long for what is good to know only.
	quotaTimeout = 5 * time.Second
)

var (
	errQuotaEndpoint = errors.New("not asked, as only the endpoint of EC2 is set: set AWS_ENDPOINT_URL_SERVICE_QUOTAS too")
	errQuotaUnasked  = errors.New("not asked yet")
)

// quotaReader is the one call of Service Quotas.
type quotaReader interface {
	GetServiceQuota(context.Context, *servicequotas.GetServiceQuotaInput, ...func(*servicequotas.Options)) (*servicequotas.GetServiceQuotaOutput, error)
}

// quota is what is known of the quota of one account and region.
type quota struct {
	client quotaReader // nil: it must not be asked for

	mu      sync.Mutex
	asked   time.Time
	entries int   // 0: not known
	err     error // why it is not known, or not anew
}

// quotaClient gives nil where EC2 is spoken to elsewhere than at AWS and Service
// Quotas is not: who tries against a stand-in must not reach the real AWS.
func quotaClient(cfg aws.Config, ec2Endpoint *string) quotaReader {
	c := servicequotas.NewFromConfig(cfg)
	if ec2Endpoint != nil && c.Options().BaseEndpoint == nil {
		return nil
	}
	return c
}

// read gives the quota, or 0, and asks for it when that is due. It never fails: a
// failure leaves what was known, since a quota that fell back to the default for
// an hour would cost blocks their entries. While somebody else asks, it gives
// what was known before.
func (q *quota) read(ctx context.Context) int {
	if q.due(time.Now()) {
		n, err := call(ctx, quotaTimeout, q.ask)
		q.learn(n, err, ctx.Err() == context.Canceled)
	}
	n, _ := q.known()
	return n
}

// due says that it is time to ask, and takes it that this is done.
func (q *quota) due(now time.Time) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.client == nil || !q.asked.IsZero() && now.Sub(q.asked) < quotaEvery {
		return false
	}
	q.asked = now
	return true
}

func (q *quota) ask(ctx context.Context) (int, error) {
	out, err := q.client.GetServiceQuota(ctx, &servicequotas.GetServiceQuotaInput{
		ServiceCode: aws.String(quotaService), QuotaCode: aws.String(quotaCode)})
	if err != nil {
		return 0, err
	}
	if out.Quota == nil || out.Quota.Value == nil {
		return 0, errors.New("the answer has no value")
	}
	v := *out.Quota.Value
	if !(v >= 1 && v <= mostQuota) || v != math.Trunc(v) { // nor NaN
		return 0, fmt.Errorf("the answer %v cannot be a number of entries", v)
	}
	return int(v), nil
}

// learn takes in an answer. A question that its asker gave up is no answer.
func (q *quota) learn(n int, err error, givenUp bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case err == nil:
		q.entries, q.err = n, nil
	case givenUp:
		q.asked = time.Time{}
	default:
		q.err = err
	}
}

// known gives the quota, or 0 and why it is not known.
func (q *quota) known() (int, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	switch {
	case q.entries > 0:
		return q.entries, nil
	case q.client == nil:
		return 0, errQuotaEndpoint
	case q.err != nil:
		return 0, q.err
	}
	return 0, errQuotaUnasked
}

// Quota gives the entries for each direction and family that the account of an
// ACL may have, as Service Quotas said; 0 and a sentence why when that is not
// known. It asks nothing: Read does.
func (b *Backend) Quota(acl string) (int, error) {
	g := b.find(acl)
	switch {
	case g == nil:
		return 0, fmt.Errorf("%s is not a configured ACL", acl)
	case g.err != nil:
		return 0, explain(g.err, g)
	}
	n, err := g.quota.known()
	if err != nil {
		return 0, explainQuota(err)
	}
	return n, nil
}

// explainQuota says why the quota is not known.
func explainQuota(err error) error {
	var api smithy.APIError
	switch {
	case errors.As(err, &api):
		return &explained{quotaRefusal(api.ErrorCode()), err, false}
	case errors.Is(err, context.DeadlineExceeded):
		return &explained{"Service Quotas did not answer in time", err, false}
	}
	return &explained{"Service Quotas: " + lastPart(err.Error()), err, false}
}

func quotaRefusal(code string) string {
	switch code {
	case "AccessDeniedException", "AccessDenied", "DependencyAccessDeniedException":
		return "servicequotas:GetServiceQuota not allowed"
	case "NoSuchResourceException":
		return "Service Quotas holds no other"
	}
	return "Service Quotas answered " + code
}
