package rebuild

import (
	"testing"

	"github.com/google/go-cmp/cmp"
)

// TestCaveats holds the order of what an answer rests on, and that it is said to
// depend on what was left out only where that may decide.
func TestCaveats(t *testing.T) {
	var n notes
	n.add(NetworkAssumed, "interface", "docker0", "address", "172.17.0.1/16")
	n.add(PortsLeftOut, "count", "2")
	n.leave(File{Name: "routes"}, 3, RouteLeftOut, RouteDead, "route", "10.0.2.0/24 dev ens33 linkdown dead")
	harmless := n
	n.at(File{Name: "rules"}, 7, RuleLeftOut, "rule", "-A INPUT -j {why}", "why", "no such target")

	text := func(lang string, all []Note) (lines []string) {
		for _, f := range Caveats(all) {
			lines = append(lines, string(f.Kind)+": "+f.Text(lang))
		}
		return lines
	}
	for _, test := range []struct {
		lang string
		all  []Note
		want []string
	}{
		{"en", nil, nil},
		{"en", harmless.all, []string{
			"left-out: interfaces of containers that are not there, since they have nothing to do with the request: 2",
			"left-out: routes:3: the route was left out (the kernel does not use it: its interface is down): 10.0.2.0/24 dev ens33 linkdown dead",
			"assumed: assumed: docker0 has the address 172.17.0.1/16",
		}},
		{"en", n.all, []string{
			"copy-lacks: not everything that was sent is in the rebuilt host: the answer holds only if nothing of what was left out decides about this packet",
			"left-out: rules:7: iptables here refuses this rule (no such target): left out: -A INPUT -j {why}",
			"left-out: interfaces of containers that are not there, since they have nothing to do with the request: 2",
			"left-out: routes:3: the route was left out (the kernel does not use it: its interface is down): 10.0.2.0/24 dev ens33 linkdown dead",
			"assumed: assumed: docker0 has the address 172.17.0.1/16",
		}},
		{"zh", n.all[3:], []string{
			"copy-lacks: 发来的内容没有全部重建：只有略去的内容都不影响这个数据包，这个答案才成立",
			"left-out: rules:7：本机的 iptables 拒绝这条规则（no such target），已略去：-A INPUT -j {why}",
		}},
	} {
		if diff := cmp.Diff(test.want, text(test.lang, test.all)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", test.lang, diff)
		}
	}
}
