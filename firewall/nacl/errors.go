package nacl

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/aws/smithy-go"

	"selfprotect/firewall"
)

var errNoRegion = errors.New("no AWS region")

// meaning is what an error code of EC2 says to an operator. The codes are those
// of the EC2 API error page.
type meaning struct {
	text string
	// refused: the service gives this code only when it has not carried out the
	// request and will not.
	refused                                   bool
	permission, quota, taken, gone, throttled bool
}

var meanings = map[string]meaning{
	"NetworkAclEntryAlreadyExists":    {text: "the rule number is taken by another entry; the ACL is read again and another number is used", refused: true, taken: true},
	"NetworkAclEntryLimitExceeded":    {text: "the ACL is full: its quota of entries is used up; remove entries or ask AWS to raise it (VPC quota L-2AEEBF1A, at most 40)", refused: true, quota: true},
	"InvalidNetworkAclEntry.NotFound": {text: "the entry is not there any more", refused: true, gone: true},
	"InvalidNetworkAclID.NotFound":    {text: "there is no such network ACL here: check its id, region and profile", refused: true, gone: true},
	"InvalidNetworkAclId.Malformed":   {text: "the id of the network ACL is malformed", refused: true},
	"InvalidParameterValue":           {text: "EC2 does not accept a value of the request; please report this as a bug", refused: true},
	"InvalidParameterCombination":     {text: "EC2 does not accept the request; please report this as a bug", refused: true},
	"MissingParameter":                {text: "EC2 misses a part of the request; please report this as a bug", refused: true},
	"InvalidPaginationToken":          {text: "EC2 does not accept the page of a list; please report this as a bug", refused: true},
	"InvalidMaxResults":               {text: "EC2 does not accept the page size of a list; please report this as a bug", refused: true},
	"FilterLimitExceeded":             {text: "too many ACLs in one request; please report this as a bug", refused: true},
	"UnauthorizedOperation":           {text: "the role or user lacks permission: grant it as the policies in deploy/iam do", refused: true, permission: true},
	"AccessDenied":                    {text: "the role or user lacks permission, or may not assume the role: check the IAM policy and the role's trust policy", refused: true, permission: true},
	"AuthFailure":                     {text: "AWS does not accept the credentials, or the clock of this machine is wrong", refused: true, permission: true},
	"InvalidClientTokenId":            {text: "the access key does not exist", refused: true, permission: true},
	"UnrecognizedClientException":     {text: "the access key or session token does not exist", refused: true, permission: true},
	"SignatureDoesNotMatch":           {text: "the secret key does not fit the access key, or the clock of this machine is wrong", refused: true, permission: true},
	"IncompleteSignature":             {text: "AWS does not accept the signature: check the credentials", refused: true, permission: true},
	"OptInRequired":                   {text: "the account is not signed up for EC2", refused: true, permission: true},
	"Blocked":                         {text: "AWS has blocked the account", refused: true, permission: true},
	"PendingVerification":             {text: "AWS is still verifying the account", refused: true, permission: true},
	"RequestExpired":                  {text: "the request was too old when it arrived: the clock of this machine is wrong, or temporary credentials have expired", refused: true, permission: true},
	"ExpiredToken":                    {text: "temporary credentials have expired: renew them (for SSO: aws sso login)", refused: true, permission: true},
	"ExpiredTokenException":           {text: "temporary credentials have expired: renew them (for SSO: aws sso login)", refused: true, permission: true},
	"RequestLimitExceeded":            {text: "EC2 throttles this account; the write is tried again more slowly", refused: true, throttled: true},
	"Throttling":                      {text: "AWS throttles this account; tried again more slowly", refused: true, throttled: true},
	"ConcurrentTagAccess":             {text: "tags are being changed by somebody else", refused: true},
	"TagLimitExceeded":                {text: "the ACL has too many tags", refused: true},
	"TagPolicyViolation":              {text: "a tag policy forbids it", refused: true},
	"InternalError":                   {text: "EC2 failed; whether the write was carried out is not known"},
	"InternalFailure":                 {text: "EC2 failed; whether the write was carried out is not known"},
	"ServerInternal":                  {text: "EC2 failed; whether the write was carried out is not known"},
	"ServiceUnavailable":              {text: "EC2 is not available; whether the write was carried out is not known"},
	"Unavailable":                     {text: "EC2 is not available; whether the write was carried out is not known"},
}

// refusal turns an error of a write into what the caller must know.
func refusal(err error, g *group) error {
	if g.err != nil {
		return &firewall.RefusedError{Code: "NotConfigured", Meaning: explain(g.err, g).Error(), Permission: true, Err: err}
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		if m, ok := meanings[api.ErrorCode()]; ok && m.refused {
			return &firewall.RefusedError{Code: api.ErrorCode(), Meaning: m.text, Permission: m.permission, Quota: m.quota,
				Taken: m.taken, Gone: m.gone, Throttled: m.throttled, Err: err}
		}
	}
	if text := credentialTrouble(err, g); text != "" && !reachedService(err) {
		// Without credentials nothing was ever signed or sent.
		return &firewall.RefusedError{Code: "NoCredentials", Meaning: text, Permission: true, Err: err}
	}
	return explain(err, g)
}

// reachedService says that EC2 itself answered.
func reachedService(err error) bool {
	var api smithy.APIError
	return errors.As(err, &api)
}

// explained is an error with a sentence for the operator before the SDK's own
// words.
type explained struct {
	text   string
	err    error
	person bool // a person must mend it: credentials, permission, region
}

func (e *explained) Error() string { return e.text }
func (e *explained) Unwrap() error { return e.err }

// CredentialError says whether an error is about credentials, permissions, the
// region or the ACL's id: something that a person must mend.
func CredentialError(err error) bool {
	var e *explained
	var r *firewall.RefusedError
	return errors.As(err, &e) && e.person || errors.As(err, &r) && r.Permission
}

// explain gives an error a sentence that says what to do.
func explain(err error, g *group) error {
	if errors.Is(err, errNoRegion) {
		return &explained{"no AWS region: set region in the [[acl]], or AWS_REGION, or a region in the AWS profile", err, true}
	}
	var api smithy.APIError
	if errors.As(err, &api) {
		if m, ok := meanings[api.ErrorCode()]; ok {
			return &explained{fmt.Sprintf("%s (%s)", m.text, api.ErrorCode()), err, m.permission}
		}
		return &explained{fmt.Sprintf("EC2 answered %s: %s", api.ErrorCode(), api.ErrorMessage()), err, false}
	}
	if text := credentialTrouble(err, g); text != "" {
		return &explained{text, err, true}
	}
	text := err.Error()
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &explained{"AWS did not answer in time", err, false}
	case strings.Contains(text, "no such host"):
		return &explained{"the AWS endpoint does not resolve: check the region, DNS and AWS_ENDPOINT_URL_EC2", err, false}
	case strings.Contains(text, "connection refused"):
		return &explained{"the AWS endpoint refuses connections: check the network and AWS_ENDPOINT_URL_EC2", err, false}
	}
	return &explained{"AWS could not be asked: " + lastPart(text), err, false}
}

// credentialTrouble recognizes the SDK's errors about credentials, which have no
// types of their own.
func credentialTrouble(err error, g *group) string {
	if reachedService(err) {
		return ""
	}
	text := err.Error()
	switch {
	case strings.Contains(text, "failed to get shared config profile"):
		return fmt.Sprintf("the AWS profile %q does not exist: check profile in the [[acl]] and ~/.aws/config", g.profile)
	case strings.Contains(text, "assume role with MFA enabled"):
		return "the AWS profile needs an MFA code, which this program cannot ask for: use a session made beforehand"
	case strings.Contains(text, "refresh cached SSO token"), strings.Contains(text, "SSO"):
		hint := "aws sso login"
		if g.profile != "" {
			hint += " --profile " + g.profile
		}
		return "the SSO session has expired: run " + hint
	case strings.Contains(text, "get credentials"), strings.Contains(text, "no EC2 IMDS role found"), strings.Contains(text, "failed to refresh cached credentials"):
		return "no AWS credentials: set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or run with a role"
	}
	return ""
}

// lastPart is the end of the SDK's long chains of words.
func lastPart(text string) string {
	const most = 200
	if r := []rune(text); len(r) > most {
		return "…" + string(r[len(r)-most:])
	}
	return text
}
