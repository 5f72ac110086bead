package passed

import (
	"slices"
	"strings"
	"testing"

	"packetwalk/trace"
)

func TestWhy(t *testing.T) {
	tcp := packet{
		Step:  trace.Step{In: "eth0", Src: addr("192.0.2.7:40000"), Dst: addr("198.51.100.1:80"), CTState: trace.New, PhysIn: "veth1"},
		proto: trace.TCP, header: trace.Packet{Proto: trace.TCP, Flags: trace.SYN},
	}
	six := packet{
		Step:  trace.Step{Out: "eth1", Src: addr("[2001:db8::7]:0"), Dst: addr("[2001:db8::8]:0")},
		proto: trace.ICMPv6, header: trace.Packet{Proto: trace.ICMPv6, ICMPType: 1, ICMPCode: 4},
	}
	other := packet{Step: trace.Step{Src: addr("192.0.2.7:0"), Dst: addr("192.0.2.8:0")}, proto: 47}
	for _, c := range []struct {
		packet      packet
		match       string
		want, found string // empty: cannot be told
	}{
		{tcp, "-i docker0", "-i docker0", "eth0"},
		{tcp, "! -i eth0", "! -i eth0", "eth0"},
		{tcp, "-i eth+", "", ""},
		{tcp, "! -i eth+ -p tcp", "! -i eth+", "eth0"},
		{tcp, "-i veth+", "-i veth+", "eth0"},
		{tcp, "-o eth0", "-o eth0", ""},
		{tcp, "! -o eth0", "", ""},
		{tcp, "-m physdev --physdev-in veth2", "--physdev-in veth2", "veth1"},
		{tcp, "-s 192.0.2.0/24 -d 198.51.100.2/32", "-d 198.51.100.2/32", "198.51.100.1"},
		{tcp, "! -s 192.0.2.7", "! -s 192.0.2.7", "192.0.2.7"},
		{tcp, "-s 192.0.2.0/255.0.255.0", "", ""},
		{tcp, "-p udp -m udp --dport 53", "-p udp", "tcp"},
		{tcp, "! -p tcp", "! -p tcp", "tcp"},
		{tcp, "! -p 6", "! -p 6", "tcp"},
		{tcp, "-p gre", "-p gre", "tcp"},
		{other, "-p gre", "", ""},
		{other, "-p 50", "-p 50", "47"},
		{other, "-p tcp", "-p tcp", "47"},
		{tcp, "-p tcp -m tcp --dport 443", "--dport 443", "80"},
		{tcp, "-p tcp -m tcp ! --dport 1:100", "! --dport 1:100", "80"},
		{tcp, "-p tcp -m tcp --sport 1024:65535 --dport 81:90", "--dport 81:90", "80"},
		{tcp, "-p tcp -m multiport --dports 22,81:90,443", "--dports 22,81:90,443", "80"},
		{tcp, "-p tcp -m multiport --ports 22,443", "--ports 22,443", "40000, 80"},
		{tcp, "-p tcp -m multiport ! --ports 80", "! --ports 80", "40000, 80"},
		{tcp, "-p tcp -m multiport --sports 40000", "", ""},
		{tcp, "-m conntrack --ctstate RELATED,ESTABLISHED", "--ctstate RELATED,ESTABLISHED", "NEW"},
		{tcp, "-m conntrack ! --ctstate NEW", "! --ctstate NEW", "NEW"},
		{tcp, "-m conntrack --ctstate DNAT", "", ""},
		{tcp, "-m conntrack --ctorigdstport 81", "", ""},
		{tcp, "-m state --state ESTABLISHED", "--state ESTABLISHED", "NEW"},
		{six, "-m conntrack --ctstate NEW", "", ""},
		{tcp, "-p tcp -m tcp --tcp-flags FIN,SYN,RST,ACK ACK", "--tcp-flags FIN,SYN,RST,ACK ACK", "S"},
		{tcp, "-p tcp -m tcp ! --tcp-flags FIN,SYN,RST,ACK SYN", "! --tcp-flags FIN,SYN,RST,ACK SYN", "S"},
		{tcp, "-m addrtype --dst-type LOCAL", "", ""},
		{tcp, "-m addrtype --dst-type LOCAL -i lo", "-i lo", "eth0"},
		{tcp, "-m mark --mark 0x1", "", ""},
		{tcp, "-m comment --comment -i -i lo", "-i lo", "eth0"},
		{tcp, "-m sctp --dport 81", "", ""},
		{tcp, "!", "", ""},
		{six, "-p ipv6-icmp -m icmp6 --icmpv6-type 1/3", "--icmpv6-type 1/3", "1/4"},
		{six, "-p ipv6-icmp -m icmp6 --icmpv6-type 128", "--icmpv6-type 128", "1"},
		{six, "-p ipv6-icmp -m icmp6 --icmpv6-type 1", "", ""},
		{six, "-s 2001:db8:1::/48", "-s 2001:db8:1::/48", "2001:db8::7"},
		{six, "-m tcp --dport 80", "", ""},
	} {
		got := c.packet.why(strings.Fields(c.match))
		if !slices.Equal(got.Match, strings.Fields(c.want)) || got.Have != c.found {
			t.Errorf("%q: %q have %q, want %q have %q", c.match, got.Match, got.Have, c.want, c.found)
		}
	}
}

// What fails is always words of the rule, in their order.
func FuzzWhy(f *testing.F) {
	f.Add("! -i eth0 -p tcp -m multiport ! --ports 1,2:3", uint8(6))
	f.Add("-s 10.0.0.0/8 -p ipv6-icmp -m icmp6 --icmpv6-type 1/3", uint8(58))
	f.Fuzz(func(t *testing.T, match string, proto uint8) {
		p := packet{Step: trace.Step{In: "eth0", Src: addr("192.0.2.7:40000"), Dst: addr("[2001:db8::1]:0"), CTState: trace.New}, proto: trace.Proto(proto)}
		words := strings.Fields(match)
		got := p.why(words)
		if len(got.Match) == 1 || !strings.Contains(" "+strings.Join(words, " ")+" ", " "+strings.Join(got.Match, " ")+" ") && got.Known() {
			t.Fatalf("%q fails at %q", match, got.Match)
		}
	})
}
