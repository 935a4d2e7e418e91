// Package metrics tells Prometheus, and whoever asks for health, how a run does.
//
// [Metrics] is given every snapshot of the engine and makes what is asked for from
// the newest one; what only the log knows, such as how long a block took, it counts
// as the lines come. Nothing here is asked by the engine, so a scrape that hangs
// holds nothing up. Labels are ids of the configuration and words of this package,
// cleaned and bounded in number: no text of an alert becomes a label, so whoever
// writes alerts cannot fill the memory of Prometheus.
package metrics

import (
	"net/http"
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"selfprotect/alert"
	"selfprotect/engine"
)

// Config says what is told beside the snapshots.
type Config struct {
	Version, Commit, Go string // of the program
	// Stale is the age after which an ACL counts as stale, and with PollInterval
	// added the source; 0: engine.DefaultStale.
	Stale        time.Duration
	PollInterval time.Duration
	// Receivers gives what became of notifications; may be nil.
	Receivers func() []Receiver
	// Now is the wall clock; nil: the machine's.
	Now func() time.Time
}

// Receiver is what became of the notifications of one receiver.
type Receiver struct {
	Name                  string
	Sent, Failed, Dropped int
	// Up says that the last message arrived, or that there was none yet.
	Up bool
}

// Metrics are the metrics of one run. Its methods may be called from any goroutine.
type Metrics struct {
	cfg      Config
	began    time.Time
	registry *prometheus.Registry
	lag      *prometheus.HistogramVec
	refused  *prometheus.CounterVec
	decided  *prometheus.CounterVec
	calls    *prometheus.CounterVec
	errors   *prometheus.CounterVec

	mu      sync.Mutex
	latest  *engine.Snapshot
	last    uint64          // the newest line that was counted
	counted map[string]bool // decisions whose lag was counted
	ended   bool
}

// New gives metrics that know nothing yet.
func New(cfg Config) *Metrics {
	if cfg.Stale <= 0 {
		cfg.Stale = engine.DefaultStale
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	m := &Metrics{cfg: cfg, began: cfg.Now(), registry: prometheus.NewRegistry(), counted: map[string]bool{}}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m.lag = prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "selfprotect_block_lag_seconds",
		Help:    "From the creation of an alert to its deny entry being read back, by who decided.",
		Buckets: []float64{1, 2.5, 5, 10, 15, 30, 60, 120, 300, 900, 3600, 14400, 86400}}, []string{"decided_by"})
	m.refused = counter("selfprotect_refusals_total", "Addresses that the guard refused, by the class of the reason.", "class")
	m.decided = counter("selfprotect_decisions_total", "Decisions about blocks, by what was decided and by whom (auto, person, engine).", "decision", "by")
	m.calls = counter("selfprotect_aws_requests_total", "Reads and changes of network ACLs that were asked of AWS.", "operation")
	m.errors = counter("selfprotect_aws_errors_total", "Reads and changes that AWS refused or did not answer, by class.", "operation", "class")
	m.start()
	m.registry.MustRegister(m.lag, m.refused, m.decided, m.calls, m.errors, collector{m},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// start makes the series exist before anything happens, so that a rate over the
// first one is seen.
func (m *Metrics) start() {
	for _, by := range []string{byAuto, byPerson} {
		m.lag.WithLabelValues(by)
	}
	for _, c := range refusalClasses {
		m.refused.WithLabelValues(c.name)
	}
	for _, op := range operations {
		m.calls.WithLabelValues(op)
		for _, class := range errorClasses {
			m.errors.WithLabelValues(op, class)
		}
	}
}

// Begin takes the snapshot of a start: what its log holds is history.
func (m *Metrics) Begin(s *engine.Snapshot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.latest, m.last = s, s.LastLine()
}

// Observe takes a snapshot.
func (m *Metrics) Observe(s *engine.Snapshot) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.latest = s
	for _, l := range s.LinesAfter(m.last) {
		m.line(s, l)
	}
	m.last = max(m.last, s.LastLine())
}

// End says that the engine does not run any more.
func (m *Metrics) End() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.ended = true
}

func (m *Metrics) snapshot() (s *engine.Snapshot, ended bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.latest, m.ended
}

// Handler serves /metrics, /healthz and /readyz.
func (m *Metrics) Handler() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{Timeout: 10 * time.Second, MaxRequestsInFlight: 4}))
	mux.HandleFunc("GET /healthz", m.answer(m.health))
	mux.HandleFunc("GET /readyz", m.answer(m.ready))
	mux.HandleFunc("GET /{$}", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/plain; charset=utf-8")
		_, _ = w.Write([]byte("selfprotect: /metrics /healthz /readyz\n"))
	})
	return mux
}

// label makes a text fit to be a label.
func label(s string) string { return string(alert.CleanN(s, 64)) }
