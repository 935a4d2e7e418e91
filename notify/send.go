package notify

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"regexp"
	"strings"
	"time"

	"github.com/nicholas-fedor/shoutrrr/pkg/router"
	"github.com/nicholas-fedor/shoutrrr/pkg/types"

	"selfprotect/alert"
)

// service is a receiver of the library.
type service struct{ types.Service }

// Send implements Sender.
func (s service) Send(text string) error {
	return s.Service.Send(text, &types.Params{}) // a title is an error for some of them
}

var errURL = errors.New("is not the URL of a receiver that can be used")

// Open gives the sender of a URL. Its error does not contain the URL.
func Open(url string) (Sender, error) {
	scheme, _, _ := strings.Cut(url, ":")
	scheme, _, _ = strings.Cut(scheme, "+")
	s, err := (&router.ServiceRouter{}).Locate(url)
	switch {
	case errors.Is(err, router.ErrUnknownService):
		return nil, fmt.Errorf("names no service that is known: it begins with %q", string(alert.CleanN(scheme, 20)))
	case err != nil:
		return nil, fmt.Errorf("%w: %q wants another form", errURL, string(alert.CleanN(scheme, 20)))
	}
	return service{s}, nil
}

// Check says what is wrong with a URL and a template, without quoting the URL.
func Check(url, text string) (badURL, badTemplate string) {
	if _, err := Open(url); err != nil {
		badURL = err.Error()
	}
	if text != "" {
		if _, err := parse(text); err != nil {
			badTemplate = string(alert.CleanN(strings.TrimPrefix(err.Error(), "template: "), 200))
		}
	}
	return badURL, badTemplate
}

var (
	statusCode = regexp.MustCompile(`\b[45][0-9][0-9]\b`)
	// dialing is what the network says at the end of an error, behind whatever may be
	// secret.
	dialing = regexp.MustCompile(`(?:dial|read|write) (?:tcp|udp)[46]? [0-9a-fA-F.:\[\]>-]+: [a-z: ]+$`)
)

// explain says why a message was not sent. Errors of receivers quote URLs, in which
// tokens stand; so only what is known to hold none is told.
func explain(err error) string {
	var dns *net.DNSError
	var op *net.OpError
	switch {
	case errors.Is(err, errSlow), errors.Is(err, errHanging):
		return err.Error()
	case errors.As(err, &dns):
		return "the name of the receiver does not resolve"
	case errors.As(err, &op):
		return "no connection to the receiver: " + string(alert.CleanN(op.Err.Error(), 100))
	case errors.Is(err, context.DeadlineExceeded):
		return errSlow.Error()
	}
	text := err.Error()
	if d := dialing.FindString(text); d != "" {
		return "no connection to the receiver: " + d
	}
	if strings.Contains(text, "no such host") {
		return "the name of the receiver does not resolve"
	}
	if code := statusCode.FindString(text); code != "" {
		return "the receiver answered with status " + code
	}
	return "the receiver did not take the message"
}

// Try sends one message that says that it is a test, written with a template (empty:
// the default). The error is fit to be shown.
func Try(ctx context.Context, s Sender, text, host string) error {
	t, err := parse(cmp.Or(text, DefaultTemplate))
	if err != nil {
		return err
	}
	it := Item{Event: "test", Time: time.Now(), Text: "this is a test of the notifications"}
	body, err := render(t, Message{Host: host, Items: []Item{it.clean()}})
	if err != nil {
		return err
	}
	done := make(chan error, 1)
	go func() { done <- s.Send(body) }() // left behind when it hangs
	select {
	case err = <-done:
	case <-ctx.Done():
		err = errSlow
	}
	if err != nil {
		return errors.New(explain(err))
	}
	return nil
}
