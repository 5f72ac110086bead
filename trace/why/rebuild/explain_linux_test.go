package rebuild

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"

	"packetwalk/lab"
	"packetwalk/trace/nflog"
	"packetwalk/trace/why"
	"packetwalk/trace/why/inquire"
)

// TestExplain asks recorded rulesets why: each request has to come to the end that
// Docker means it to have, and where that is a bad one, the very rule is named.
func TestExplain(t *testing.T) {
	for _, test := range []struct {
		file    string
		request Request
		cause   why.Name // empty: reachable
		culprit string   // its place and text
	}{
		{"docker-20.10-publish-80", ask("203.0.113.5", "tcp", "192.168.23.149:80"), "", ""},
		{"docker-20.10-publish-80", ask("203.0.113.5", "tcp", "172.17.0.2:80"), "", ""},
		{"docker-20.10-publish-80", ask("203.0.113.5", "udp", "192.168.23.149:80"), "published-other-protocol", "rule host nat/DOCKER 2 -A DOCKER ! -i docker0 -p tcp -m tcp --dport 80 -j DNAT --to-destination 172.17.0.2:80"},
		{"docker-20.10-publish-loopback-8080", ask("203.0.113.5", "tcp", "192.168.23.149:8080"), "published-other-address", "rule host nat/DOCKER 2 -A DOCKER -d 127.0.0.1/32 ! -i docker0 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 172.17.0.2:80"},
		{"docker-20.10-internal-network", ask("172.18.0.2", "tcp", "172.19.0.2:80"), "internal-network", "rule host filter/DOCKER-ISOLATION-STAGE-1 1 -A DOCKER-ISOLATION-STAGE-1 ! -s 172.19.0.0/16 -o br2 -j DROP"},
		{"docker-20.10-two-bridges", ask("172.18.0.2", "tcp", "172.17.0.2:80"), "bridge-isolation", "rule host filter/DOCKER-ISOLATION-STAGE-2 2 -A DOCKER-ISOLATION-STAGE-2 -o docker0 -j DROP"},
		{"docker-20.10-new-daemon", ask("203.0.113.5", "tcp", "172.17.0.2:80"), "policy-drop", "policy host filter/FORWARD 0 -P FORWARD DROP"},
		{"docker-20.10-no-icc", ask("203.0.113.5", "tcp", "172.20.0.2:80"), "policy-drop", "policy host filter/FORWARD 0 -P FORWARD DROP"},
		{"docker-28-publish-8080", ask("203.0.113.5", "tcp", "198.51.100.10:8080"), "", ""},
		{"docker-28-publish-8080", ask("203.0.113.5", "tcp", "192.0.2.2:80"), "direct-access", "rule host raw/PREROUTING 1 -A PREROUTING -d 192.0.2.2/32 ! -i bridge1 -j DROP"},
		{"docker-28-publish-8080", ask("172.17.0.2", "tcp", "192.0.2.2:80"), "bridge-isolation", "rule host raw/PREROUTING 1 -A PREROUTING -d 192.0.2.2/32 ! -i bridge1 -j DROP"},
		{"docker-28-publish-loopback-8080", ask("203.0.113.5", "tcp", "198.51.100.10:8080"), "published-other-address", "rule host nat/DOCKER 1 -A DOCKER -d 127.0.0.1/32 ! -i bridge1 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 192.0.2.2:80"},
		{"docker-28-publish-nat-unprotected", ask("203.0.113.5", "tcp", "192.0.2.2:80"), "", ""},
		{"docker-28-publish-routed", ask("203.0.113.5", "tcp", "192.0.2.2:80"), "", ""},
		{"docker-28-publish-routed", ask("203.0.113.5", "tcp", "192.0.2.2:81"), "direct-access", "rule host filter/DOCKER 4 -A DOCKER ! -i bridge1 -o bridge1 -j DROP"},
		{"docker-28-internal-network", ask("172.17.0.2", "tcp", "192.0.2.2:80"), "internal-network", "rule host filter/DOCKER-INTERNAL 3 -A DOCKER-INTERNAL ! -s 192.0.2.0/24 -o bridgeICC -j DROP"},
		{"docker-28-no-icc", ask("172.17.0.2", "tcp", "192.0.2.2:81"), "bridge-isolation", "rule host filter/DOCKER 3 -A DOCKER ! -i bridge1 -o bridge1 -j DROP"},
		{"docker-28-new-daemon", ask("203.0.113.5", "tcp", "172.17.0.2:80"), "direct-access", "rule host filter/DOCKER 1 -A DOCKER ! -i docker0 -o docker0 -j DROP"},
	} {
		t.Run(fmt.Sprint(test.file, " ", test.request.From, " ", test.request.Target.Addr), func(t *testing.T) {
			p := plan(t, Mail{Ruleset: load(t, filepath.Join(recorded, test.file+".rules"))}, test.request)
			a := explain(t, p, build(t, p, "nft"), test.request) // the variants differ in nothing that is asked here
			culprit := ""
			if c := a.Culprit; c != nil {
				culprit = fmt.Sprintf("%s %s %s/%s %d %s", c.Kind, c.Node, c.Table, c.Chain, c.Rule, c.Text)
			}
			if a.Reachable != (test.cause == "") || a.Cause != test.cause || culprit != test.culprit {
				t.Errorf("%s (%s), want %s (%s); the attempt was %s %s", a.Cause, culprit, test.cause, test.culprit, a.Attempt.Result, a.Attempt.Err)
			}
		})
	}
}

// explain asks the request in a lab, and explains what comes of it.
func explain(t *testing.T, p *Plan, l *lab.Lab, r Request) why.Answer {
	t.Helper()
	scene := inquire.Scene{Family: r.family(), Iptables: "nft", Options: nflog.Options{Report: func(err error) { t.Error(err) }}}
	for _, n := range l.Topology().Nodes {
		scene.Places = append(scene.Places, inquire.Place{Name: n.Name, Kind: string(n.Kind), Namespace: l.Node(n.Name)})
	}
	q, err := inquire.Open(t.Context(), scene)
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := q.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	e, err := q.Ask(t.Context(), why.Question{From: p.From, Target: r.Target})
	if err != nil {
		t.Fatal(err)
	}
	return why.Explain(e)
}
