package sim

import "net/http"

// The names of the services that an [EC2] speaks for, as requests are signed.
const (
	serviceEC2    = "ec2"
	serviceSTS    = "sts"
	serviceQuotas = "servicequotas"
)

// trouble is the status and the code under which a service refuses.
type trouble struct {
	status int
	code   string
}

func (t trouble) because(format string, args ...any) *apiError {
	return fail(t.status, t.code, format, args...)
}

// dialect is how a service words what has nothing to do with its own calls: who
// asks, how often, and what nobody knows.
type dialect struct {
	service                                              string
	contentType                                          string
	unsigned, unknownKey, tooOld, tooNew, expired, wrong trouble
	unknown, throttled, broken, denied                   trouble
}

func dialectOf(service string) dialect {
	switch service {
	case serviceSTS:
		return stsDialect()
	case serviceQuotas:
		return quotasDialect()
	}
	return ec2Dialect()
}

func ec2Dialect() dialect {
	return dialect{
		service: serviceEC2, contentType: "text/xml;charset=UTF-8",
		unsigned:   trouble{http.StatusForbidden, "AuthFailure"},
		unknownKey: trouble{http.StatusUnauthorized, "AuthFailure"},
		tooOld:     trouble{http.StatusBadRequest, "RequestExpired"},
		tooNew:     trouble{http.StatusBadRequest, "AuthFailure"},
		expired:    trouble{http.StatusBadRequest, "RequestExpired"},
		wrong:      trouble{http.StatusUnauthorized, "AuthFailure"},
		unknown:    trouble{http.StatusBadRequest, "InvalidAction"},
		throttled:  trouble{http.StatusServiceUnavailable, "RequestLimitExceeded"},
		broken:     trouble{http.StatusInternalServerError, "InternalError"},
		denied:     trouble{http.StatusForbidden, "UnauthorizedOperation"},
	}
}

// stsDialect differs from that of EC2 in what it says of credentials.
func stsDialect() dialect {
	d := ec2Dialect()
	d.service = serviceSTS
	d.unsigned = trouble{http.StatusForbidden, "MissingAuthenticationToken"}
	d.unknownKey = trouble{http.StatusForbidden, "InvalidClientTokenId"}
	d.tooNew = trouble{http.StatusBadRequest, "SignatureDoesNotMatch"}
	d.expired = trouble{http.StatusForbidden, "ExpiredToken"}
	d.wrong = trouble{http.StatusForbidden, "SignatureDoesNotMatch"}
	return d
}

// quotasDialect is that of services with JSON: nearly every refusal has status
// 400, and the code decides.
func quotasDialect() dialect {
	signature := trouble{http.StatusBadRequest, "InvalidSignatureException"}
	return dialect{
		service: serviceQuotas, contentType: quotasType,
		unsigned:   trouble{http.StatusBadRequest, "MissingAuthenticationTokenException"},
		unknownKey: trouble{http.StatusBadRequest, "UnrecognizedClientException"},
		tooOld:     signature, tooNew: signature, wrong: signature,
		expired:   trouble{http.StatusBadRequest, "ExpiredTokenException"},
		unknown:   trouble{http.StatusBadRequest, "UnknownOperationException"},
		throttled: trouble{http.StatusBadRequest, "TooManyRequestsException"},
		broken:    trouble{http.StatusInternalServerError, "ServiceException"},
		denied:    trouble{http.StatusBadRequest, "AccessDeniedException"},
	}
}
