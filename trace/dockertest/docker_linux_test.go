package dockertest

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os/exec"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/assemble"
	"packetwalk/trace/docker"
	"packetwalk/trace/nflog"
	"packetwalk/trace/ruleset"
	"packetwalk/trace/why/vantage/vantagetest"
)

func TestMain(m *testing.M) { vantagetest.Main(m) }

// The ports that containers are published on: of the one that is there all the
// time, and of the last of those that come and go.
const (
	webPort  = 8080
	latePort = 9020
)

// followWithin is how soon new rules have to be followed: a second, and as much
// again for a busy machine.
const followWithin = 2 * time.Second

// topology is a machine beside a host that has no rules yet.
func topology() lab.Topology {
	host := netip.MustParseAddr("192.168.23.149")
	return lab.Topology{
		Nodes: []lab.Node{{Name: "client", Kind: lab.Machine}, {Name: "host", Kind: lab.Host}},
		Links: []lab.Link{{Ends: [2]lab.End{
			{Node: "client", Interface: "eth0", Addresses: []netip.Prefix{netip.MustParsePrefix("192.168.23.1/24")}},
			{Node: "host", Interface: "eth0", Addresses: []netip.Prefix{netip.PrefixFrom(host, 24)}},
		}}},
		Clients: []lab.Client{
			{Name: "web", Node: "client", Protocol: lab.HTTP, To: netip.AddrPortFrom(host, webPort)},
			{Name: "late", Node: "client", Protocol: lab.HTTP, To: netip.AddrPortFrom(host, latePort)},
		},
	}
}

func TestDocker(t *testing.T) {
	labtest.NeedIptables(t, "")
	l := labtest.Build(t, topology(), "")
	host := l.Node("host")
	d := startDaemon(t, host)
	d.importImage(t)
	d.serve(t, "web", webPort)
	await(t, "the web server", func() bool { return answers(t, l, "web") })
	before := save(t, host)
	names := docker.Watch(d.socket)
	defer names.Close()
	called := func(name, address string) {
		t.Helper()
		await(t, "Docker to say who has "+address, func() bool { return names.Of(netip.MustParseAddr(address)) == name })
	}

	tr := start(t, l)
	address := d.address(t, "web")
	called("web", address)
	tr.checkNumbers(t, tr.checkSYN(t, "web", webPort, address), address)
	requests := 0
	for done := comeAndGo(t, d, 1, 19); !closed(done); requests++ {
		tr.checkSYN(t, "web", webPort, address)
	}
	t.Logf("%d requests while containers came and went", requests)

	d.serve(t, "late", latePort)
	begin := time.Now()
	await(t, "a walk by the rules of a container that is new", func() bool { return tr.follows(t, "late", latePort) })
	if took := time.Since(begin); took > followWithin {
		t.Errorf("the rules of a new container were followed after %v", took)
	}
	called("late", d.address(t, "late"))
	tr.checkNumbers(t, tr.checkSYN(t, "late", latePort, d.address(t, "late")), d.address(t, "late"))
	d.docker(t, "rm", "--force", "late")
	await(t, "the rules to be known again as they were", func() bool { return tr.knows(t, before) })
	tr.checkNumbers(t, tr.checkSYN(t, "web", webPort, address), address)

	must(t, tr.Detach(t.Context()))
	if tr.Lost() != 0 {
		t.Errorf("%d events were lost", tr.Lost())
	}
	if diff := cmp.Diff(before, save(t, host)); diff != "" {
		t.Errorf("dockerd's rules (-before +after the trace):\n%s", diff)
	}
}

// comeAndGo starts containers and removes them again, two at a time, under the
// numbers from first to last. It closes the channel when it is done.
func comeAndGo(t *testing.T, d *daemon, first, last int) <-chan struct{} {
	t.Helper()
	var workers sync.WaitGroup
	for w := range 2 {
		workers.Go(func() {
			for i := first + w; i <= last; i += 2 {
				name := fmt.Sprintf("passing-%d", i)
				d.serve(t, name, uint16(9000+i))
				d.docker(t, "rm", "--force", name)
			}
		})
	}
	done := make(chan struct{})
	go func() {
		workers.Wait()
		close(done)
	}()
	t.Cleanup(func() { <-done })
	return done
}

func closed(done <-chan struct{}) bool {
	select {
	case <-done:
		return true
	default:
		return false
	}
}

// tracing is a traced host.
type tracing struct {
	*nflog.Tracer
	lab *lab.Lab

	mu     sync.Mutex
	events []trace.Event
}

// start traces the host while dockerd may change its rules.
func start(t *testing.T, l *lab.Lab) *tracing {
	t.Helper()
	tr := &tracing{lab: l}
	var err error
	tr.Tracer, err = nflog.Attach(t.Context(), nflog.Target{
		Node: "host", Namespace: l.Node("host"), Backends: []nflog.Backend{{Family: trace.IPv4, Command: lab.Command("").Iptables}},
		Tables: trace.Tables(), Careful: true,
	}, nflog.Options{
		// While dockerd is at work the tracer may come too late, and tries again:
		// what counts is what the walks and the rules show.
		Report: func(err error) { t.Log(err) },
	}, tr.receive)
	must(t, err)
	t.Cleanup(func() { must(t, tr.Detach(context.Background())) })
	return tr
}

func (tr *tracing) receive(e trace.Event) {
	tr.mu.Lock()
	defer tr.mu.Unlock()
	tr.events = append(tr.events, e)
}

// request sends a request and returns the walks that it caused on the host up
// to its answer.
func (tr *tracing) request(t *testing.T, client string) []trace.Walk {
	t.Helper()
	if !answers(t, tr.lab, client) {
		return nil
	}
	// The probes have spoken before the client had its answer.
	await(t, "the events", func() bool { return !tr.Pending() })
	tr.mu.Lock()
	defer tr.mu.Unlock()
	a := assemble.New(assemble.Config{Nodes: map[string]assemble.Node{"host": tr.Probed()}})
	for _, e := range tr.events {
		a.Add(e, e.Time)
	}
	tr.events = nil
	a.Finish()
	return a.Take(time.Now(), true)
}

// follows says whether the walk of a request shows the rule of its port; before
// that it shows only that something has rewritten it.
func (tr *tracing) follows(t *testing.T, client string, port int) bool {
	t.Helper()
	syn, ok := firstSYN(tr.request(t, client), port)
	return ok && slices.ContainsFunc(syn.Steps, func(s trace.Step) bool { return s.Chain == "DOCKER" && s.Verdict == trace.DNAT })
}

// knows says whether the tracer's last look found the rules of a listing.
func (tr *tracing) knows(t *testing.T, saved string) bool {
	t.Helper()
	rules, err := ruleset.Parse(saved)
	must(t, err)
	return slices.Equal(texts(rules), texts(tr.Rules(trace.IPv4)))
}

// texts are the rules, whatever the order of the tables.
func texts(rules ruleset.Ruleset) []string {
	var all []string
	for _, name := range trace.Tables() {
		table, _ := rules.Table(name)
		for _, c := range table.Chains {
			for _, r := range c.Rules {
				all = append(all, string(name)+" "+r.Text)
			}
		}
	}
	return all
}

func firstSYN(walks []trace.Walk, port int) (trace.Walk, bool) {
	i := slices.IndexFunc(walks, func(w trace.Walk) bool { return w.Packet.Summary() == "SYN" && int(w.Packet.Dst.Port()) == port })
	if i < 0 {
		return trace.Walk{}, false
	}
	return walks[i], true
}

// checkSYN sends a request to a container and looks at its first packet's walk:
// the rules that let it in are dockerd's for this port.
func (tr *tracing) checkSYN(t *testing.T, client string, port int, container string) trace.Walk {
	t.Helper()
	walks := tr.request(t, client)
	syn, ok := firstSYN(walks, port)
	if !ok {
		t.Fatalf("none of the %d walks of request %s is that of its SYN", len(walks), client)
	}
	if syn.Outcome != trace.Forwarded || syn.Direction != trace.Original {
		t.Errorf("the SYN is %s, in direction %s", syn.Outcome, syn.Direction)
	}
	tr.checkVerdict(t, syn, trace.NAT, trace.DNAT, fmt.Sprintf("--dport %d -j DNAT --to-destination %s:80", port, container))
	tr.checkVerdict(t, syn, trace.Filter, trace.Accept, "-d "+container+"/32 ")
	if last := syn.Steps[len(syn.Steps)-1]; last.Dst.String() != container+":80" {
		t.Errorf("the SYN leaves for %s", last.Dst)
	}
	if t.Failed() {
		t.Fatal(describe(syn))
	}
	return syn
}

// checkNumbers looks whether every rule of a walk has the number and the text
// that it has now.
func (tr *tracing) checkNumbers(t *testing.T, w trace.Walk, container string) {
	t.Helper()
	rules := tr.Rules(trace.IPv4)
	host := tr.lab.Node("host")
	counted := map[trace.Verdict]int{
		trace.DNAT:   ruleNumber(t, host, "nat", fmt.Sprintf(" dpt:%d to:%s:80 ", w.Packet.Dst.Port(), container)),
		trace.Accept: ruleNumber(t, host, "filter", " "+container+" "),
	}
	for _, s := range w.Steps {
		if s.Rule == 0 {
			continue
		}
		if c, _ := rules.Chain(s.Table, s.Chain); s.Rule > len(c.Rules) || c.Rules[s.Rule-1].Text != s.Text {
			t.Errorf("the walk has %q as rule %d of %s/%s", s.Text, s.Rule, s.Table, s.Chain)
		}
		if n := counted[s.Verdict]; s.Chain == "DOCKER" && n != 0 && s.Rule != n {
			t.Errorf("the walk has %s by rule %d of %s/DOCKER, iptables counts %d", s.Verdict, s.Rule, s.Table, n)
		}
	}
}

// checkVerdict looks for the rule of chain DOCKER that gave a verdict.
func (tr *tracing) checkVerdict(t *testing.T, w trace.Walk, table trace.Table, verdict trace.Verdict, words string) {
	t.Helper()
	for _, s := range w.Steps {
		if s.Table == table && s.Chain == "DOCKER" && s.Verdict == verdict {
			if !strings.Contains(s.Text, words) {
				t.Errorf("the walk has %s by rule %d of %s/DOCKER, %q, not one with %q", verdict, s.Rule, table, s.Text, words)
			}
			return
		}
	}
	t.Errorf("the walk has no %s in %s/DOCKER", verdict, table)
}

// describe is every step of a walk, for the message of a failed test.
func describe(w trace.Walk) string {
	var b strings.Builder
	for _, s := range w.Steps {
		fmt.Fprintf(&b, "  %s %s/%s %d %s %s %s>%s %s %s\n", s.Hook, s.Table, s.Chain, s.Rule, s.Verdict, s.Target, s.In, s.Out, s.Src, s.Dst)
	}
	return b.String()
}

// ruleNumber is the number of the rule of chain DOCKER that iptables -L
// describes with these words, less the probes before it.
func ruleNumber(t *testing.T, n *lab.Namespace, table, words string) int {
	t.Helper()
	probes := 0
	for _, line := range strings.Split(command(t, n, lab.Command("").Iptables, "-w", "-t", table, "-n", "-L", "DOCKER", "--line-numbers"), "\n") {
		switch {
		case strings.Contains(line, "packetwalk:"):
			probes++
		case strings.Contains(line+" ", words):
			number, err := strconv.Atoi(strings.Fields(line)[0])
			must(t, err)
			return number - probes
		}
	}
	t.Errorf("%s/DOCKER has no rule with %q", table, words)
	return 0
}

// answers says whether a request is answered.
func answers(t *testing.T, l *lab.Lab, client string) bool {
	t.Helper()
	r, err := l.Send(t.Context(), client)
	return err == nil && r.Status == 200 && string(r.Body) == "hello\n"
}

var (
	comment  = regexp.MustCompile(`(?m)^#.*\n`)
	counters = regexp.MustCompile(`\[\d+:\d+\]`)
	// emptyTable is one that the legacy variant keeps once it was asked for.
	emptyTable = regexp.MustCompile(`(?m)^\*\w+\n(:\w+ ACCEPT \[0:0\]\n)+COMMIT\n`)
)

// save is iptables-save without comments and counters and, in the legacy
// variant, without tables that hold nothing.
func save(t *testing.T, n *lab.Namespace) string {
	t.Helper()
	c := lab.Command("")
	text := counters.ReplaceAllString(comment.ReplaceAllString(command(t, n, c.Save), ""), "[0:0]")
	if strings.Contains(command(t, n, c.Iptables, "--version"), "legacy") {
		text = emptyTable.ReplaceAllString(text, "")
	}
	return text
}

// command runs a command in a node and returns what it printed.
func command(t *testing.T, n *lab.Namespace, name string, args ...string) string {
	t.Helper()
	var out []byte
	must(t, n.Do(func() (err error) {
		out, err = exec.Command(name, args...).Output()
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%s %s: %w: %s", name, strings.Join(args, " "), err, exit.Stderr)
		}
		return err
	}))
	return string(out)
}

// await asks until the answer is yes: what is waited for happens in another
// process, which has no way to tell.
func await(t *testing.T, what string, yes func() bool) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); !yes(); {
		if time.Now().After(end) {
			t.Fatalf("waited 10 s for %s", what)
		}
		time.Sleep(5 * time.Millisecond)
	}
}
