package why

import (
	"slices"
	"testing"

	"packetwalk/trace"
)

func TestFate(t *testing.T) {
	for name, test := range map[string]struct {
		rules   []string
		verdict trace.Verdict
		chain   string
		rule    int
	}{
		"policy":             {[]string{":FORWARD DROP"}, trace.Drop, "FORWARD", 0},
		"rule":               {[]string{":FORWARD DROP", "-A FORWARD -i docker0 -j DROP", "-A FORWARD -i ens33 -j ACCEPT"}, trace.Accept, "FORWARD", 2},
		"back from a chain":  {[]string{":FORWARD DROP", ":A -", "-A FORWARD -j A", "-A FORWARD -j REJECT", "-A A -p udp -j ACCEPT"}, trace.Reject, "FORWARD", 2},
		"return":             {[]string{":FORWARD ACCEPT", ":A -", "-A FORWARD -j A", "-A A -j RETURN", "-A A -j DROP"}, trace.Accept, "FORWARD", 0},
		"goto":               {[]string{":FORWARD DROP", ":A -", "-A FORWARD -g A", "-A FORWARD -j ACCEPT"}, trace.Drop, "FORWARD", 0},
		"unknown match":      {[]string{":FORWARD ACCEPT", "-A FORWARD -m set --match-set bad src -j DROP"}, "", "", 0},
		"unknown, but fails": {[]string{":FORWARD ACCEPT", "-A FORWARD -i docker0 -m set --match-set bad src -j DROP"}, trace.Accept, "FORWARD", 0},
		"unknown log":        {[]string{":FORWARD DROP", "-A FORWARD -m limit --limit 1/sec -j LOG"}, trace.Drop, "FORWARD", 0},
		"unknown jump":       {[]string{":FORWARD ACCEPT", ":A -", "-A FORWARD -m mark --mark 0x1 -j A", "-A A -j DROP"}, "", "", 0},
		"unknown empty jump": {[]string{":FORWARD ACCEPT", ":A -", "-A FORWARD -m mark --mark 0x1 -j A"}, trace.Accept, "FORWARD", 0},
		"comment":            {[]string{":FORWARD ACCEPT", `-A FORWARD -m comment --comment "a b" -j DROP`}, trace.Drop, "FORWARD", 1},
		"own address":        {[]string{":FORWARD ACCEPT", "-A FORWARD -m addrtype --dst-type LOCAL -j DROP"}, trace.Accept, "FORWARD", 0},
		"not own address":    {[]string{":FORWARD ACCEPT", "-A FORWARD -m addrtype ! --dst-type LOCAL -j DROP"}, trace.Drop, "FORWARD", 1},
	} {
		t.Run(name, func(t *testing.T) {
			e := dockerHost(t, table("filter", test.rules...))
			c := newCase(e)
			w := syn(trace.Dropped, forwarded(trace.Filter))
			f := c.fate(e.Rules["host"][trace.NFTables], trace.Filter, c.coming(&w, w.Steps[0]))
			if f.verdict != test.verdict || f.chain != test.chain || f.rule != test.rule {
				t.Errorf("%q by %s %d, want %q by %s %d", f.verdict, f.chain, f.rule, test.verdict, test.chain, test.rule)
			}
		})
	}
}

func TestExceptions(t *testing.T) {
	const to = "-s 192.168.23.1/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80"
	const back = "-s 172.17.0.2/32 -d 192.168.23.1/32 -p tcp -m tcp --sport 80 -m conntrack --ctstate ESTABLISHED"
	for name, test := range map[string]struct {
		rules []string
		chain string
		rule  int
		want  []string
	}{
		"base chain": {
			[]string{":FORWARD ACCEPT", "-A FORWARD -i ens33 -j DROP"}, "FORWARD", 1,
			[]string{"iptables -I FORWARD 1 " + to + " -j ACCEPT"},
		},
		"both directions": {
			[]string{":FORWARD ACCEPT", "-A FORWARD -p tcp -j DROP"}, "FORWARD", 1,
			[]string{"iptables -I FORWARD 1 " + to + " -j ACCEPT", "iptables -I FORWARD 2 " + back + " -j ACCEPT"},
		},
		"back to the caller": {
			[]string{":FORWARD ACCEPT", ":A -", "-A FORWARD -j A", "-A A -i ens33 -j DROP"}, "A", 1,
			[]string{"iptables -I A 1 " + to + " -j RETURN"},
		},
		"the caller would drop it": {
			[]string{":FORWARD DROP", ":A -", "-A FORWARD -j A", "-A A -i ens33 -s 192.168.23.1/32 -j DROP", "-A A -j ACCEPT"}, "A", 1,
			[]string{"iptables -I A 1 " + to + " -j ACCEPT"},
		},
		"another rule behind it": {
			[]string{":FORWARD ACCEPT", "-A FORWARD -i ens33 -j DROP", "-A FORWARD -o docker0 -j DROP"}, "FORWARD", 1,
			[]string{"iptables -I FORWARD 1 " + to + " -j ACCEPT"},
		},
		"Docker's own chain": {
			[]string{":FORWARD ACCEPT", ":DOCKER-USER -", ":DOCKER -", "-A FORWARD -j DOCKER-USER", "-A FORWARD -j DOCKER", "-A DOCKER ! -i docker0 -o docker0 -j DROP"}, "DOCKER", 1,
			[]string{"iptables -I DOCKER-USER 1 " + to + " -j ACCEPT"},
		},
		"nothing leads to DOCKER-USER": {
			[]string{":FORWARD ACCEPT", ":DOCKER-USER -", ":DOCKER -", "-A FORWARD -j DOCKER", "-A DOCKER ! -i docker0 -o docker0 -j DROP"}, "DOCKER", 1,
			[]string{"iptables -I DOCKER 1 " + to + " -j ACCEPT"},
		},
		"policy": {
			[]string{":FORWARD DROP", "-A FORWARD -m conntrack --ctstate ESTABLISHED -j ACCEPT"}, "FORWARD", 0,
			[]string{"iptables -A FORWARD " + to + " -j ACCEPT"},
		},
		"what is not known is left alone": {
			[]string{":FORWARD ACCEPT", "-A FORWARD -i ens33 -j DROP", "-A FORWARD -m set --match-set bad src -j DROP"}, "FORWARD", 1,
			[]string{"iptables -I FORWARD 1 " + to + " -j ACCEPT"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			c := newCase(dockerHost(t, table("filter", test.rules...)))
			end := forwarded(trace.Filter)
			end.Chain, end.Rule, end.Policy, end.Verdict = test.chain, test.rule, test.rule == 0, trace.Drop
			w := syn(trace.Dropped, end)
			if got := c.letThrough(&w, end).Commands; !slices.Equal(got, test.want) {
				t.Errorf("got\n%q\nwant\n%q", got, test.want)
			}
		})
	}
}
