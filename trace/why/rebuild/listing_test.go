package rebuild

import (
	"errors"
	"fmt"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"packetwalk/trace"
	"packetwalk/trace/host"
)

// listed is a listing that ip printed, all of one host.
func listed(t testing.TB, name string) File { return load(t, filepath.Join("testdata/listing", name)) }

func joined(name string, files ...File) File {
	all := File{Name: name}
	for _, f := range files {
		all.Text += f.Text
	}
	return all
}

// told is what a listing of addresses says of each interface.
func told(all []*link, withState bool) []string {
	var lines []string
	for _, l := range all {
		line := l.Name
		for _, a := range l.Addresses {
			if a.Addr().IsLinkLocalUnicast() {
				continue
			}
			line += " " + a.String()
			if far, ok := l.peers[a]; ok {
				line += " peer " + far.String()
			}
		}
		if withState {
			line += fmt.Sprintf(" up=%t mtu=%d master=%s kind=%s", l.Up, l.MTU, l.Bridge, l.Kind)
		}
		if line != l.Name {
			lines = append(lines, line)
		}
	}
	return lines
}

// TestAddressFormats holds that every format of ip addr says the same.
func TestAddressFormats(t *testing.T) {
	want := []string{
		"lo 127.0.0.1/8 10.9.9.9/32 ::1/128 up=true mtu=65536 master= kind=loopback",
		"docker0 172.17.0.1/16 up=true mtu=1500 master= kind=bridge",
		"ens33 192.168.23.149/24 fd00:23::149/64 up=true mtu=1400 master= kind=veth",
		"ens34 10.1.0.2/24 10.8.0.1/32 peer 10.8.0.2/32 up=true mtu=1500 master= kind=veth",
		"vetha up=true mtu=1500 master=docker0 kind=veth",
		"ens35 10.5.0.2/24 up=false mtu=1500 master= kind=veth",
	}
	for _, name := range []string{"full", "detail", "json", "detailjson"} {
		all, err := readAddresses(listed(t, name+".addr"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(want, told(all, true)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	full, err := readAddresses(listed(t, "full.addr"))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range []string{"brief", "oneline"} {
		all, err := readAddresses(listed(t, name+".addr"))
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		if diff := cmp.Diff(told(full, false), told(all, false)); diff != "" {
			t.Errorf("%s (-full +%s):\n%s", name, name, diff)
		}
	}
}

// TestRouteFormats holds that every format of ip route and ip rule says the same.
func TestRouteFormats(t *testing.T) {
	of := func(f File) (lines []string) {
		all, err := readRoutes(f)
		if err != nil {
			t.Fatalf("%s: %v", f.Name, err)
		}
		b := builder{machine: &machine{}}
		for _, r := range all.routes {
			lines = append(lines, b.routeCommand(r)+" "+r.unknown)
		}
		for _, c := range all.choices {
			lines = append(lines, c.command()+" "+c.unknown)
		}
		return lines
	}
	text := of(joined("text", listed(t, "all.route"), listed(t, "text.rule")))
	if diff := cmp.Diff(text, of(joined("json", listed(t, "json.route"), listed(t, "json.rule")))); diff != "" {
		t.Errorf("(-text +json):\n%s", diff)
	}
	// With -d ip writes the scope of every route.
	detail := strings.ReplaceAll(strings.Join(of(listed(t, "detail.route")), "\n"), " scope global", "")
	if diff := cmp.Diff(strings.Join(of(listed(t, "main.route")), "\n"), detail); diff != "" {
		t.Errorf("(-plain +detail):\n%s", diff)
	}
}

// TestListings holds what is made of listings to golden files.
func TestListings(t *testing.T) {
	rules := load(t, filepath.Join(recorded, "docker-20.10-publish-80.rules"))
	routes := joined("ip-route.txt", listed(t, "all.route"), listed(t, "text.rule"))
	six := joined("ip-route.txt", listed(t, "all.route"), listed(t, "six.rule"))
	article := Mail{Ruleset: rules, Addresses: listed(t, "article.addr"), Routes: listed(t, "article.route")}
	request := ask("203.0.113.5", "tcp", "192.168.23.149:80")
	for name, test := range map[string]struct {
		mail    Mail
		request Request
	}{
		"article":             {article, request},
		"article-router":      {article, ask("192.168.23.2", "tcp", "192.168.23.149:80")},
		"article-elsewhere":   {article, ask("203.0.113.5", "tcp", "192.168.23.150:80")},
		"article-direct":      {article, ask("203.0.113.5", "tcp", "172.17.0.2:80")},
		"addresses-only":      {Mail{Ruleset: rules, Addresses: article.Addresses}, request},
		"routes-only":         {Mail{Ruleset: rules, Routes: article.Routes}, request},
		"all":                 {Mail{Ruleset: rules, Addresses: listed(t, "full.addr"), Routes: routes}, request},
		"all-second-way":      {Mail{Ruleset: rules, Addresses: listed(t, "full.addr"), Routes: routes}, ask("10.1.0.9", "tcp", "10.1.0.2:80")},
		"all-ipv6":            {Mail{Ruleset: rules, Addresses: listed(t, "full.addr"), Routes: routes}, ask("2001:db8::5", "tcp", "[fd00:23::149]:80")},
		"ipv6-rules":          {Mail{Ruleset: rules, Addresses: listed(t, "full.addr"), Routes: six}, ask("2001:db8::5", "tcp", "[fd00:23::149]:80")},
		"all-down":            {Mail{Ruleset: rules, Addresses: listed(t, "full.addr"), Routes: routes}, ask("10.5.0.7", "tcp", "10.5.0.2:80")},
		"all-to-gateway":      {Mail{Ruleset: rules, Addresses: listed(t, "full.addr"), Routes: routes}, ask("192.168.23.7", "tcp", "10.71.0.5:80")},
		"all-to-the-world":    {Mail{Ruleset: rules, Addresses: listed(t, "full.addr"), Routes: routes}, ask("10.1.0.9", "tcp", "198.51.100.7:443")},
		"removed-route":       {Mail{Ruleset: rules, Addresses: article.Addresses, Routes: without(article.Routes, "172.17.0.0/16")}, request},
		"no-default-route":    {Mail{Ruleset: rules, Addresses: article.Addresses, Routes: without(article.Routes, "default")}, request},
		"blackhole-to-sender": {Mail{Ruleset: rules, Addresses: article.Addresses, Routes: joined("r", article.Routes, File{Text: "blackhole 203.0.113.0/24\n"})}, request},
		"odd":                 {Mail{Ruleset: rules, Addresses: listed(t, "odd.addr"), Routes: listed(t, "odd.route")}, request},
	} {
		t.Run(name, func(t *testing.T) {
			p, err := New(test.mail, test.request)
			if err != nil {
				golden(t, "listing-"+name, "error: "+err.Error()+"\n")
				return
			}
			golden(t, "listing-"+name, describe(p))
		})
	}
}

// TestChoiceFamilies holds which family policy rules are taken for, and which of
// the kernel's own are removed because their listing lacks them.
func TestChoiceFamilies(t *testing.T) {
	const (
		mark = "100:\tfrom all fwmark 0x1 lookup 100\n"
		four = "101:\tfrom 10.1.0.2 lookup 100\n"
		six  = "101:\tfrom fd00:23::149 lookup 100\n"
		head = "0:\tfrom all lookup local\n"
		tail = "32766:\tfrom all lookup main\n"
		only = "32767:\tfrom all lookup default\n" // of IPv4
	)
	selector := regexp.MustCompile(` (from|fwmark) .*`)
	add, add6 := "ip rule add pref ", "ip -6 rule add pref "
	for name, test := range map[string]struct {
		text  string
		asked trace.Family
		want  []string // without selectors
	}{
		"IPv4":                {head + mark + tail + only, trace.IPv4, []string{add + "100"}},
		"IPv4, asked by IPv6": {head + mark + tail + only, trace.IPv6, []string{add + "100"}},
		"IPv4 by an address":  {head + mark + four + tail, trace.IPv6, []string{add + "100", add + "101", "ip rule del pref 32767"}},
		"IPv4, none is left":  {head + mark, trace.IPv4, []string{add + "100", "ip rule del pref 32766", "ip rule del pref 32767"}},
		"IPv6":                {head + mark + tail, trace.IPv6, []string{add6 + "100"}},
		"IPv6 by an address":  {head + mark + six + tail, trace.IPv4, []string{add6 + "100", add6 + "101"}},
		"IPv6, none is left":  {head + mark, trace.IPv6, []string{add6 + "100", "ip -6 rule del pref 32766"}},
		"both":                {head + mark + tail + only + head + mark + tail, trace.IPv6, []string{add + "100", add6 + "100"}},
		"both, IPv6 first":    {head + mark + six + tail + head + mark + tail + only, trace.IPv4, []string{add6 + "100", add6 + "101", add + "100"}},
		"neither":             {"10.0.0.0/8 dev eth0\n", trace.IPv4, nil},
	} {
		t.Run(name, func(t *testing.T) {
			m := machine{request: Request{From: unspecified(test.asked)}}
			var err error
			if m.routing, err = readRoutes(File{"rule.txt", test.text}); err != nil {
				t.Fatal(err)
			}
			m.settleChoices()
			b := builder{machine: &m}
			b.setChoices()
			var got []string
			for _, c := range b.commands {
				got = append(got, selector.ReplaceAllString(c.Line, ""))
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("commands (-want +got):\n%s", diff)
			}
		})
	}
}

// TestChoiceCommands holds the command for a line of ip-rule(8) that is not the
// line itself.
func TestChoiceCommands(t *testing.T) {
	for line, want := range map[string]string{
		"5:\tnot from 10.0.0.1 fwmark 0x1 iif eth0 oif eth1 lookup main": "not from 10.0.0.1 fwmark 0x1 iif eth0 oif eth1 lookup main",
		"5:\tfrom all to 10.0.0.0/8 prohibit proto static":               "from all to 10.0.0.0/8 prohibit",
		"5:\tfrom all fwmark 0/0x1 lookup 9":                             "from all fwmark 0x0/0x1 lookup 9",
		"5:\tfrom all fwmark 0 lookup 9":                                 "from all fwmark 0x0/0xffffffff lookup 9",
	} {
		all, err := readRoutes(File{"rule.txt", line})
		if err != nil {
			t.Fatal(err)
		}
		if got := all.choices[0].command(); got != "ip rule add pref 5 "+want {
			t.Errorf("%q: %s", line, got)
		}
	}
}

// TestRouteCommands holds the command for each thing that a route can have.
func TestRouteCommands(t *testing.T) {
	b := builder{machine: &machine{}}
	for _, line := range []string{
		"default via 10.0.0.1 dev eth0",
		"blackhole 10.0.0.0/8",
		"10.0.0.0/8 via inet6 fe80::1 dev eth0",
		"10.0.0.0/8 via 10.9.0.1 dev eth0 table 9 metric 5 mtu 1400 src 10.9.0.2 scope link onlink",
		"10.0.0.0/8 nexthop via 10.9.0.1 dev eth0 nexthop dev eth1",
	} {
		all, err := readRoutes(File{"route.txt", line})
		if err != nil {
			t.Fatal(err)
		}
		if got := b.routeCommand(all.routes[0]); got != "ip route add "+line {
			t.Errorf("%s: %s", line, got)
		}
	}
}

// TestNeverPasses holds of which targets beside the host a request is refused.
func TestNeverPasses(t *testing.T) {
	outside, inside := &link{}, &link{}
	bridge := &link{Link: host.Link{Kind: "bridge"}}
	for name, test := range map[string]struct {
		way    *link
		bits   int
		sender *link // nil: the host itself
		listed bool
		want   bool
	}{
		"no way, listed":                     {nil, -1, inside, true, true},
		"no way, from outside":               {nil, -1, outside, false, true},
		"no way, from inside":                {nil, -1, inside, false, false},
		"no way, from the host":              {nil, -1, nil, true, false},
		"through":                            {inside, 24, outside, true, false},
		"through, by the default route":      {outside, 0, inside, true, false},
		"back":                               {outside, 24, outside, true, true},
		"from the host":                      {outside, 24, nil, true, false},
		"at one bridge":                      {bridge, 24, bridge, true, false},
		"out of a bridge, the default route": {bridge, 0, bridge, true, true},
	} {
		b := builder{machine: &machine{outside: outside, listed: test.listed}, from: "client"}
		if test.sender == nil {
			b.from = hostNode
		}
		if got := b.neverPasses(test.way, test.bits, test.sender); got != test.want {
			t.Errorf("%s: %t", name, got)
		}
	}
}

// without leaves out the lines that begin with a word.
func without(f File, word string) File {
	out := File{Name: f.Name}
	for l := range strings.Lines(f.Text) {
		if !strings.HasPrefix(l, word) {
			out.Text += l
		}
	}
	return out
}

// TestFaults holds that every text that cannot be used is refused, with its line.
func TestFaults(t *testing.T) {
	const table = "*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -s 10.0.0.1/32 -j DROP\nCOMMIT\n"
	rules := func(text string) Mail { return Mail{Ruleset: File{"rules.txt", text}} }
	addresses := func(text string) Mail {
		return Mail{Ruleset: File{"rules.txt", table}, Addresses: File{"addr.txt", text}}
	}
	routes := func(text string) Mail {
		return Mail{Ruleset: File{"rules.txt", table}, Routes: File{"route.txt", text}}
	}
	for name, test := range map[string]struct {
		mail Mail
		want string
	}{
		"empty":            {rules(""), "rules.txt: it is empty"},
		"blank":            {rules(" \n\n"), "rules.txt: it is empty"},
		"comments only":    {rules("# Generated by iptables-save\n"), "rules.txt: there is nothing but comments"},
		"binary":           {rules("*filter\n\x00\x01\nCOMMIT\n"), "rules.txt:2: there is a byte 0x00"},
		"utf-16":           {rules("\xff\xfe*\x00n\x00"), "rules.txt: it is in UTF-16"},
		"no utf-8":         {rules("*filter\n:INPUT \xff\n"), "rules.txt:2: it is not UTF-8"},
		"cut in a line":    {rules("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -s 10."), "rules.txt:3: the text ends here, and the table of line 1"},
		"cut in a comment": {rules("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -m comment --comment \"a b"), "rules.txt:3: a quoted word is not closed"},
		"no commit":        {rules("*filter\n:INPUT ACCEPT [0:0]\n\n"), "rules.txt:2: the text ends here"},
		"cut in commit":    {rules("*filter\n:INPUT ACCEPT [0:0]\nCOMM"), "rules.txt:3: the text ends here"},
		"middle missing":   {rules("*nat\n:INPUT ACCEPT [0:0]\n*filter\nCOMMIT\n"), "rules.txt:3: a table begins, and the table of line 1 has no COMMIT"},
		"second missing":   {rules("# Generated by iptables-save v1.8.9 on Mon\n*nat\nCOMMIT\n"), "rules.txt:3: the text ends here, and the listing of line 1 has no"},
		"header in table":  {rules("*nat\n# Generated by iptables-save v1.8.9 on Mon\nCOMMIT\n"), "rules.txt:2: a new listing begins"},
		"no header":        {rules("-A INPUT -j DROP\n"), "rules.txt:1: a line outside of a table"},
		"policy":           {rules("*filter\n:INPUT ACC [0:0]\nCOMMIT\n"), "rules.txt:2: a policy is ACCEPT or DROP"},
		"own policy":       {rules("*filter\n:WEB ACCEPT [0:0]\nCOMMIT\n"), "rules.txt:2: the table filter has no chain WEB"},
		"unknown table":    {rules("*broute\n:BROUTING ACCEPT [0:0]\nCOMMIT\n"), "rules.txt:1: iptables has no table broute"},
		"undeclared":       {rules("*filter\n:INPUT ACCEPT [0:0]\n-A WEB -j DROP\nCOMMIT\n"), "rules.txt:3: a rule for a chain that was not declared"},
		"twice":            {rules(table + table), "rules.txt:5: the table filter of ipv4 appears twice"},
		"mixed families":   {rules("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -s 10.0.0.1/32 -j DROP\n-A INPUT -s fd00::1/128 -j DROP\nCOMMIT\n"), "rules.txt:4: this rule is for ipv6, and line 3 is for ipv4"},
		"modprobe":         {rules("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT --modprobe=/tmp/x -j DROP\nCOMMIT\n"), "rules.txt:3: iptables-save writes no --modprobe"},
		"modprobe short":   {rules("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -M /tmp/x -j DROP\nCOMMIT\n"), "rules.txt:3: iptables-save writes no -M"},
		"modprobe glued":   {rules("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -vM/tmp/x -j DROP\nCOMMIT\n"), "rules.txt:3: iptables-save writes no -vM"},
		"modprobe cut":     {rules("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT --modp /tmp/x -j DROP\nCOMMIT\n"), "rules.txt:3: iptables-save writes no --modp"},
		"other table":      {rules("*filter\n:INPUT ACCEPT [0:0]\n-A INPUT -t nat -j DROP\nCOMMIT\n"), "rules.txt:3: iptables-save writes no -t"},
		"nft":              {Mail{Ruleset: load(t, "testdata/docker-28-nftables.nft")}, "docker-28-nftables.nft:1: this is nft's own listing"},
		"nft json":         {rules(`{"nftables": []}`), "rules.txt:1: this is nft's own listing"},
		"iptables -L":      {rules("Chain INPUT (policy ACCEPT)\ntarget prot\n"), "rules.txt:1: this is the listing of iptables -L"},
		"iptables -S":      {rules("-P INPUT ACCEPT\n"), "rules.txt:1: this is the listing of iptables -S"},
		"other text":       {rules("hello\n"), "rules.txt:1: a line outside of a table"},

		"addresses: empty":    {addresses("\n"), "addr.txt: it is empty"},
		"addresses: text":     {addresses("hello\n"), "addr.txt:1: this is not the output of ip addr"},
		"addresses: routes":   {addresses("default via 10.0.0.1 dev eth0\n"), "addr.txt:1: this is not the output"},
		"addresses: cut":      {addresses("2: eth0: <UP> mtu 1500\n    inet 10.0.0.\n"), "addr.txt:2: \"10.0.0.\" is no address"},
		"addresses: cut link": {addresses("2: eth0: \n"), "addr.txt:1:"},
		"addresses: mtu":      {addresses("2: eth0: <UP> mtu x y\n"), "addr.txt:1: \"x\" is no MTU"},
		"addresses: name":     {addresses("2: a-name-that-is-too-long: <UP> mtu 1500\n"), "addr.txt:1: \"a-name-that-is-too-long\" is no name"},
		"addresses: JSON cut": {addresses("[{\"ifname\":\"eth0\",\n\"flags\":[\"UP\"]"), "addr.txt:2: this JSON cannot be read"},
		"addresses: JSON":     {addresses("[1]"), "addr.txt:1: this JSON is not what ip -j prints"},
		"addresses: no links": {addresses("[]"), "addr.txt:1: there is no interface in it"},

		"routes: empty":       {routes(""), ""},
		"routes: text":        {routes("hello\n"), "route.txt:1: this is no route"},
		"routes: addresses":   {routes("1: lo: <LOOPBACK,UP> mtu 65536\n"), "route.txt:1:"},
		"routes: cut":         {routes("default via 10.0.0.1\ndefault via 10.0\n"), "route.txt:2: \"10.0\" behind via is no address"},
		"routes: cut word":    {routes("default via\n"), "route.txt:1: there is nothing behind via"},
		"routes: cut type":    {routes("blackhole\n"), "route.txt:1: there is no destination behind blackhole"},
		"routes: no network":  {routes("10.0.0.1/24 dev eth0\n"), "route.txt:1: 10.0.0.1/24 is no network: did you mean 10.0.0.0/24"},
		"routes: metric":      {routes("default dev eth0 metric x\n"), "route.txt:1: \"x\" behind metric is no number"},
		"routes: rule":        {routes("0:\tfrom\n"), "route.txt:1: there is nothing behind from"},
		"routes: mark":        {routes("9:\tfrom all fwmark zz lookup main\n"), "route.txt:1: \"zz\" is no mark"},
		"routes: binary":      {routes("default\x7f\n"), "route.txt:1: there is a byte 0x7f"},
		"routes: JSON no dst": {routes("[{\"dev\":\"eth0\"}]"), "route.txt:1: a route without dst"},
		"routes: shell":       {routes("default dev eth0;reboot\n"), "route.txt:1: \"eth0;reboot\" is no name"},
	} {
		t.Run(name, func(t *testing.T) {
			if test.want == "" {
				test.mail.Routes.Text = "\n"
				test.want = "route.txt: it is empty"
			}
			_, err := New(test.mail, ask("203.0.113.5", "tcp", "192.168.23.149:80"))
			var fault *FileError
			if !errors.As(err, &fault) || !strings.HasPrefix(err.Error(), test.want) {
				t.Errorf("New = %v, want %s…", err, test.want)
			}
		})
	}
}

// TestRequests holds that requests that do not fit are refused.
func TestRequests(t *testing.T) {
	mail := Mail{Ruleset: load(t, filepath.Join(recorded, "docker-20.10-publish-80.rules"))}
	for name, test := range map[string]struct {
		request Request
		want    string
	}{
		"no sender":      {ask("", "tcp", "192.168.23.149:80"), "--from ADDRESS"},
		"no target":      {ask("203.0.113.5", "tcp", ""), "needs an IP address"},
		"two families":   {ask("203.0.113.5", "tcp", "[fd00::1]:80"), "different IP versions"},
		"no port":        {ask("203.0.113.5", "tcp", "192.168.23.149:0"), "needs a port"},
		"protocol":       {Request{From: ask("1.2.3.4", "", "").From, Target: ask("", "", "1.2.3.5:1").Target}, "protocol"},
		"multicast":      {ask("203.0.113.5", "udp", "224.0.0.1:80"), "no address of one machine"},
		"odd sender":     {ask("0.0.0.0", "udp", "192.168.23.149:80"), "no address of a sender"},
		"other loopback": {ask("203.0.113.5", "tcp", "127.0.0.1:80"), "always the sender itself"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(mail, test.request)
			var bad *RequestError
			if !errors.As(err, &bad) || !strings.Contains(err.Error(), test.want) {
				t.Errorf("New = %v, want …%s…", err, test.want)
			}
		})
	}
}
