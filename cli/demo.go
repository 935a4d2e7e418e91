package cli

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"selfprotect/sim"
)

// demoFlags are the flags of demo beside those of a run.
type demoFlags struct {
	seed      uint64
	pace      float64
	serveOnly bool
	addr      string
}

func newDemo(h Host) *cobra.Command {
	o := newOptions(h)
	o.title, o.notice = "demo", "demo: made-up alerts, servers on this machine; nothing leaves it"
	d := &demoFlags{}
	cmd := &cobra.Command{
		Use:   "demo",
		Short: "Run the whole program against servers of its own: no account, no network",
		Long: `demo starts a Threat Stack server and an EC2 server on loopback and runs the
unchanged program against them while a story is played: ordinary alerts, a repeat
offender, IPv6, addresses of our own that must be refused, hostile text, and more
addresses than the network ACL has slots for. Its state lives in a temporary
folder, which is removed at the end.

With --serve-only it runs just the servers and prints the environment that points
any client at them; POST /_sim/alert there adds an alert, GET /_sim/acl lists the
entries, POST /_sim/quota sets how many there may be.`,
		Example: `selfprotect demo
selfprotect demo --mode auto
selfprotect demo --headless --json --for 20s --seed 1
selfprotect demo --serve-only`,
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return runDemo(cmd, o, d) },
	}
	f := cmd.Flags()
	f.BoolVar(&o.headless, "headless", false, "write lines instead of opening the console")
	f.BoolVar(&o.json, "json", false, "write one JSON object a line")
	f.DurationVar(&o.forTime, "for", 0, "end by itself after this time")
	f.StringVar(&o.flags.Theme, "theme", "", "auto, light, dark, mono, safe or ansi")
	f.StringVar(&o.flags.Mode, "mode", "", "observe, review or auto (default review, auto with --headless)")
	f.Uint64Var(&d.seed, "seed", 1, "the same seed tells the same story")
	f.Float64Var(&d.pace, "pace", 1, "how fast the story is told; 2 is twice as fast")
	f.BoolVar(&d.serveOnly, "serve-only", false, "run just the servers")
	f.StringVar(&d.addr, "addr", "127.0.0.1:0", "loopback address of the servers, such as 127.0.0.1:8080")
	return cmd
}

func runDemo(cmd *cobra.Command, o *options, d *demoFlags) error {
	if !(d.pace > 0) { // nor NaN
		return usageError(errors.New("--pace must be above 0"))
	}
	world := sim.NewWorld(d.seed)
	s, err := serve(world, d.addr)
	if err != nil {
		return err
	}
	defer s.close()
	if d.serveOnly {
		return serveOnly(cmd.Context(), cmd.OutOrStdout(), world, s, o.forTime)
	}
	dir, err := os.MkdirTemp("", "selfprotect-demo-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(dir) }()
	o.faults = demoFaults(world)
	if err := demoConfig(o, world, s, dir); err != nil {
		return err
	}
	cfg, err := o.load(false)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(cmd.Context())
	defer cancel()
	told := make(chan error, 1)
	go func() { told <- world.Run(ctx, d.pace) }()
	err = o.run(cmd, cfg)
	cancel()
	<-told
	return err
}

// demoServer are the two servers of a world on one loopback port: the alert API
// and the control paths by path, EC2, STS and Service Quotas for everything else.
type demoServer struct {
	http *http.Server
	url  string
}

func serve(w *sim.World, addr string) (*demoServer, error) {
	host, _, err := net.SplitHostPort(addr)
	if ip := net.ParseIP(host); err != nil || ip == nil || !ip.IsLoopback() {
		return nil, usageError(fmt.Errorf("--addr %s is no loopback address such as 127.0.0.1:8080", addr))
	}
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/v2/", w.ThreatStack)
	mux.Handle("/help/", w.ThreatStack)
	mux.Handle("/_sim/", w.Control())
	mux.Handle("/", w.EC2)
	s := &demoServer{http: &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}, url: "http://" + l.Addr().String()}
	go func() { _ = s.http.Serve(l) }()
	return s, nil
}

func (s *demoServer) close() { _ = s.http.Close() }

// demoEnv is the environment that points any client at the servers, in the
// order in which it is printed.
func demoEnv(w *sim.World, s *demoServer) [][2]string {
	return [][2]string{
		{"TS_API_ENDPOINT", s.url},
		{"TS_ORGANIZATION_ID", w.OrganizationID},
		{"TS_USER_ID", w.UserID},
		{"TS_API_KEY", w.APIKey},
		{"AWS_ENDPOINT_URL", s.url},
		{"AWS_ENDPOINT_URL_EC2", s.url},
		{"AWS_ENDPOINT_URL_STS", s.url},
		{"AWS_ENDPOINT_URL_SERVICE_QUOTAS", s.url},
		{"AWS_ACCESS_KEY_ID", w.Credential.AccessKeyID},
		{"AWS_SECRET_ACCESS_KEY", w.Credential.SecretAccessKey},
		{"AWS_REGION", w.Region},
	}
}

func serveOnly(ctx context.Context, out io.Writer, w *sim.World, s *demoServer, d time.Duration) error {
	var b strings.Builder
	for _, kv := range demoEnv(w, s) {
		fmt.Fprintf(&b, "export %s=%s\n", kv[0], kv[1])
	}
	fmt.Fprintf(&b, "export SELFPROTECT_DEMO_RULE=%s\nexport SELFPROTECT_DEMO_ACL=%s\n", w.RuleID, w.ACLID)
	fmt.Fprintf(&b, "# selfprotect --watchrule %s --aws-acl-id %s\n", w.RuleID, w.ACLID)
	fmt.Fprintf(&b, "# curl -d '{\"events\":[{\"connection\":{\"dst_addr\":\"203.0.113.9\",\"dst_port\":443}}]}' %s/_sim/alert\n", s.url)
	if _, err := io.WriteString(out, b.String()); err != nil {
		return err
	}
	if d > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, d)
		defer cancel()
	}
	<-ctx.Done()
	return nil
}

// demoConfig writes a configuration as a user would, and an environment in which
// nothing of the user's own is found.
func demoConfig(o *options, w *sim.World, s *demoServer, dir string) error {
	env := map[string]string{"AWS_CONFIG_FILE": os.DevNull, "AWS_SHARED_CREDENTIALS_FILE": os.DevNull, "AWS_EC2_METADATA_DISABLED": "true"}
	if t := w.Credential.SessionToken; t != "" {
		env["AWS_SESSION_TOKEN"] = t
	}
	for _, kv := range demoEnv(w, s) {
		env[kv[0]] = kv[1]
	}
	if err := replaceAWS(env); err != nil {
		return err
	}
	users := o.env
	keep := []string{"USER", "TERM", "NO_COLOR", "COLORTERM", "SSH_CONNECTION", "SSH_CLIENT", "LC_ALL", "LC_CTYPE", "LANG", "TMUX", "VTE_VERSION"}
	o.env = func(k string) string {
		if slices.Contains(keep, k) {
			return users(k)
		}
		return env[k]
	}
	o.path = filepath.Join(dir, "config.toml")
	o.pollInterval, o.readInterval = 2*time.Second, 5*time.Second
	mode := "review"
	if o.lineMode() {
		mode = "auto"
	}
	return os.WriteFile(o.path, []byte(demoTOML(mode, w, dir)), 0o600)
}

// replaceAWS lets the AWS SDK, which reads the environment of the process and
// nothing else, see these variables and none of the user's.
func replaceAWS(env map[string]string) error {
	for _, kv := range os.Environ() {
		if k, _, _ := strings.Cut(kv, "="); strings.HasPrefix(k, "AWS_") {
			if err := os.Unsetenv(k); err != nil {
				return err
			}
		}
	}
	for k, v := range env {
		if strings.HasPrefix(k, "AWS_") {
			if err := os.Setenv(k, v); err != nil {
				return err
			}
		}
	}
	return nil
}

func demoTOML(mode string, w *sim.World, dir string) string {
	return fmt.Sprintf(`mode = %q

[[watch]]
rule = %q
name = "Outbound to WAN"

[[watch]]
rule = %q
name = "Inbound from WAN"

[[acl]]
id = %q
name = "demo"

[state]
path = %q

[log]
path = %q
`, mode, w.RuleID, w.InboundRuleID, w.ACLID, filepath.Join(dir, "journal.db"), filepath.Join(dir, "selfprotect.log"))
}
