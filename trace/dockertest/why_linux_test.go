package dockertest

import (
	"fmt"
	"strings"
	"testing"

	"packetwalk/trace/why"
	"packetwalk/trace/why/inquire"
	"packetwalk/trace/why/vantage"
)

// testWhy asks from outside why published ports can be reached or not.
func (a *asking) testWhy(t *testing.T) {
	d, host := a.daemon, a.lab.Node("host")
	for _, c := range []struct{ name, published string }{{"idle", "8081:80"}, {"inner", "127.0.0.1:8082:80"}} {
		d.docker(t, "run", "--detach", "--name", c.name, "--publish", c.published, image, "/busybox", "sleep", "1000")
		defer d.docker(t, "rm", "--force", c.name)
	}
	web, idle := d.address(t, "web"), d.address(t, "idle")
	before := a.dumps(t)
	defer func() { a.unchanged(t, before) }()

	a.explained(t, "works", 8080, "", "")
	a.explained(t, "nothing listens", 8081, "nothing-listens", "tcp "+idle+":80")
	a.explained(t, "published on 127.0.0.1", 8082, "published-other-address", "-d 127.0.0.1/32")
	block := fmt.Sprintf("-d %s/32 -p tcp -m tcp --dport 80 -j DROP", web)
	command(t, host, "iptables", append([]string{"-I", "DOCKER-USER", "1"}, strings.Fields(block)...)...)
	defer command(t, host, "iptables", append([]string{"-D", "DOCKER-USER"}, strings.Fields(block)...)...)
	a.explained(t, "blocked in DOCKER-USER", 8080, "drop-rule", "-A DOCKER-USER "+block)
}

// explained asks from outside for a port of the host, and compares what is to blame.
func (a *asking) explained(t *testing.T, name string, port int, cause why.Name, culprit string) {
	t.Run(name, func(t *testing.T) {
		// The machine's containers are those that run now.
		a := &asking{a.lab, a.daemon, vantage.Open(t.Context(), inquire.Place{Name: "host", Kind: "host", Namespace: a.lab.Node("host")}, a.daemon.socket)}
		s, q, target := a.scene(t, vantage.Origin{Kind: vantage.FromOutside}, fmt.Sprintf("192.168.23.149:%d", port))
		e, err := q.Ask(t.Context(), why.Question{Target: target, From: s.From})
		must(t, err)
		got := why.Explain(e)
		if got.Cause != cause || got.Reachable != (cause == "") {
			t.Fatalf("reachable: %v, cause %q, want %q (%s %s)", got.Reachable, got.Cause, cause, got.Attempt.Result, got.Attempt.Err)
		}
		if culprit != "" && (got.Culprit == nil || !strings.Contains(got.Culprit.Text, culprit)) {
			t.Errorf("%+v is blamed, want %q", got.Culprit, culprit)
		}
	})
}
