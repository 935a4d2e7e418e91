package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"syscall"
	"time"

	"selfprotect/config"
	"selfprotect/engine"
	"selfprotect/metrics"
	"selfprotect/notify"
)

// followers are what follows a run beside its screen or its lines: metrics, health
// and notifications. They are given snapshots, and nothing waits for them.
type followers struct {
	metrics  *metrics.Metrics
	notifier *notify.Notifier
}

// newFollowers makes them from a configuration. Nothing is sent or served yet.
func newFollowers(cfg *config.Config, actor string, told func(receiver, problem string)) (*followers, error) {
	f := &followers{}
	v := buildVersion()
	f.metrics = metrics.New(metrics.Config{Version: v.Version, Commit: v.Commit, Go: v.Go, PollInterval: cfg.ThreatStack.PollInterval, Receivers: f.counts})
	n := notify.Config{Host: actor, Health: f.metrics.Health, Told: told}
	for _, r := range cfg.Notify {
		sender, err := notify.Open(r.URL.Reveal())
		if err != nil {
			return nil, usageError(fmt.Errorf("notify %s: the url %w", clean(r.Name), err))
		}
		n.Receivers = append(n.Receivers, notify.Receiver{Name: r.Name, Sender: sender, Events: r.Events, Template: r.Template, Every: r.Every})
	}
	var err error
	if f.notifier, err = notify.New(n); err != nil {
		return nil, usageError(fmt.Errorf("notify: %w", err))
	}
	return f, nil
}

func (f *followers) counts() []metrics.Receiver {
	var out []metrics.Receiver
	for _, c := range f.notifier.Counts() {
		out = append(out, metrics.Receiver(c))
	}
	return out
}

// start begins to follow a tee that does not run yet, and to serve. The function
// that it gives waits until everything has ended, which it does when the tee ends.
func (f *followers) start(t *tee, cfg config.Metrics) (wait func(), err error) {
	server, err := serveMetrics(cfg, f.metrics.Handler())
	if err != nil {
		return nil, err
	}
	f.metrics.Begin(t.first)
	f.notifier.Begin(t.first)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	follow := func(observe func(*engine.Snapshot), end func()) {
		in := t.reader()
		wg.Go(func() {
			defer end()
			for s := range in {
				observe(s)
			}
		})
	}
	follow(f.metrics.Observe, f.metrics.End)
	follow(f.notifier.Observe, cancel)
	wg.Go(func() { f.notifier.Run(ctx) })
	return func() { wg.Wait(); server() }, nil
}

// serveMetrics serves on the address of the configuration, if there is one, until
// the function that it gives is called.
func serveMetrics(cfg config.Metrics, h http.Handler) (stop func(), err error) {
	if cfg.Address == "" {
		return func() {}, nil
	}
	l, err := net.Listen("tcp", cfg.Address)
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return nil, fmt.Errorf("metrics: another program listens on %s: set another [metrics] address", cfg.Address)
	case errors.Is(err, syscall.EACCES):
		return nil, fmt.Errorf("metrics: this user may not listen on %s: set a port above 1023", cfg.Address)
	case err != nil:
		return nil, fmt.Errorf("metrics: %w", err)
	}
	s := &http.Server{Handler: h, ReadHeaderTimeout: 5 * time.Second, ReadTimeout: 10 * time.Second, WriteTimeout: 20 * time.Second, IdleTimeout: 2 * time.Minute, MaxHeaderBytes: 16 << 10}
	go func() { _ = s.Serve(l) }()
	return func() { _ = s.Close() }, nil
}
