package vantage

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/host"
	"packetwalk/trace/passed"
	"packetwalk/trace/ruleset"
	"packetwalk/trace/why"
)

// Client is an outside client as the machine sees it.
type Client struct {
	// Interface of the machine by which the client's packets come in.
	Interface string
	// Address is the client's, Gateway the machine's on that interface.
	Address, Gateway netip.Addr
}

// Caveats says in what the client's packets meet something else on the machine
// than those of a real one from outside: what names the interface they come in
// by, or the sender, and settings that interfaces have of their own. The state
// is the machine's while the client was there, the rules those of the target's
// address family.
func (c Client) Caveats(s host.State, rules why.Variants, proto trace.Proto) []why.Fact {
	facts := []why.Fact{fact(why.OutsideStartsHere, why.Values{"node": s.Node, "interface": c.Interface, "address": c.Address.String()})}
	outer := c.outer(s)
	for _, v := range []trace.Variant{trace.Legacy, trace.NFTables} {
		facts = append(facts, c.ruleCaveats(s, outer, v, rules[v], trace.Packet{Proto: proto})...)
	}
	facts = append(facts, c.choiceCaveats(s, outer)...)
	return append(facts, c.settingCaveats(s, outer)...)
}

func fact(kind why.FactKind, v why.Values) why.Fact { return why.Fact{Kind: kind, Values: v, Step: -1} }

// outer are the interfaces by which others than containers may come in: a way to
// a gateway leads out by them, or they are devices with addresses of their own or
// ports of a bridge.
func (c Client) outer(s host.State) []string {
	var all []string
	for _, l := range s.Links {
		gateway := slices.ContainsFunc(s.Routes, func(r host.Route) bool {
			return r.Via.IsValid() && r.Interface == l.Name ||
				slices.ContainsFunc(r.NextHop, func(h host.NextHop) bool { return h.Interface == l.Name })
		})
		if l.Up && l.Name != c.Interface && l.Kind != "loopback" && (gateway || l.Kind == "device" && (len(l.Addresses) > 0 || l.Bridge != "")) {
			all = append(all, l.Name)
		}
	}
	return all
}

// isInside says whether a network is one of the machine's own: of containers.
func (c Client) isInside(s host.State, outer []string, p netip.Prefix) bool {
	return slices.ContainsFunc(s.Links, func(l host.Link) bool {
		return l.Name != c.Interface && !slices.Contains(outer, l.Name) &&
			slices.ContainsFunc(l.Addresses, func(a netip.Prefix) bool { return a.Masked().Overlaps(p) && p.Bits() >= a.Bits() })
	})
}

// ruleCaveats finds the rules that tell interfaces or senders apart.
func (c Client) ruleCaveats(s host.State, outer []string, v trace.Variant, rules ruleset.Ruleset, request trace.Packet) []why.Fact {
	var facts []why.Fact
	for _, t := range rules.Tables {
		for _, chain := range t.Chains {
			if chain.Name == trace.Output.String() || chain.Name == trace.Postrouting.String() {
				continue // no packet of these comes from outside, or has where it came in
			}
			for i, r := range chain.Rules {
				values := why.Values{
					"node": s.Node, "variant": v.String(), "table": string(t.Name), "chain": chain.Name, "rule": strconv.Itoa(i + 1), "text": r.Text,
				}
				if name, ok := c.interfaceMatters(r, outer, request); ok {
					values["interface"] = name
					facts = append(facts, fact(why.RuleNamesInterface, values))
				} else if c.senderMatters(s, r, outer, request) {
					values["address"] = c.Address.String()
					facts = append(facts, fact(why.RuleNamesSender, values))
				}
			}
		}
	}
	return facts
}

// interfaceMatters says whether a rule can match what comes in by a real
// interface and not what comes in by the client's, or the other way round, and
// names that interface.
func (c Client) interfaceMatters(r ruleset.Rule, outer []string, request trace.Packet) (string, bool) {
	own := passed.Compare(trace.Step{In: c.Interface}, request, r.Match)
	if failsOf(own, "-p") {
		return "", false
	}
	for _, name := range outer {
		theirs := passed.Compare(trace.Step{In: name, PhysIn: name}, request, r.Match)
		if failsOf(own, "-i", "--physdev-in") != failsOf(theirs, "-i", "--physdev-in") {
			return name, true
		}
	}
	return "", false
}

// senderModules are match modules that look at who sent a packet, beside the
// address (iptables-extensions(8)).
var senderModules = []string{"mac", "geoip"}

// senderMatters says whether a rule that the client's packets fail for their
// sender may match those of others, from outside, or may do so the other way
// round.
func (c Client) senderMatters(s host.State, r ruleset.Rule, outer []string, request trace.Packet) bool {
	asked := passed.Compare(trace.Step{In: c.Interface, Src: netip.AddrPortFrom(c.Address, 0)}, request, r.Match)
	if failsOf(asked, "-p", "-i") {
		return false
	}
	for i, word := range r.Match {
		if i+1 == len(r.Match) {
			break
		}
		switch next := r.Match[i+1]; word {
		case "-s":
			p, ok := network(next)
			if !ok || p.Bits() > 0 && !c.isInside(s, outer, p) {
				return true
			}
		case "--src-range":
			return true
		case "--match-set":
			if i+2 < len(r.Match) && slices.Contains(strings.Split(r.Match[i+2], ","), "src") {
				return true
			}
		case "-m":
			if slices.Contains(senderModules, next) {
				return true
			}
		}
	}
	return false
}

// choiceCaveats finds the rules of ip-rule(8) that name a real interface.
func (c Client) choiceCaveats(s host.State, outer []string) []why.Fact {
	var facts []why.Fact
	for _, r := range s.Choices {
		if slices.Contains(outer, r.In) && (r.Family == trace.IPv6) == c.Address.Is6() {
			facts = append(facts, fact(why.ChoiceNamesInterface, why.Values{"node": s.Node, "text": r.String(), "interface": r.In}))
		}
	}
	return facts
}

// setting is a sysctl that every interface has, and what the kernel makes of it
// and of that of "all" (Documentation/networking/ip-sysctl.rst).
type setting struct {
	name string
	with func(own, all int) int
}

var (
	alone  = func(own, _ int) int { return own }
	either = func(own, all int) int { return own | all }
	higher = func(own, all int) int { return max(own, all) }
)

// settings are those that decide about packets that come in.
var settings = map[string][]setting{
	"net.ipv4.conf": {{"rp_filter", higher}, {"forwarding", alone}, {"route_localnet", either}, {"accept_local", either}},
	"net.ipv6.conf": {{"forwarding", alone}},
}

// settingCaveats finds the settings in which a real interface differs from the client's.
func (c Client) settingCaveats(s host.State, outer []string) []why.Fact {
	var facts []why.Fact
	below := "net.ipv4.conf"
	if c.Address.Is6() {
		below = "net.ipv6.conf"
	}
	for _, set := range settings[below] {
		for _, name := range outer {
			key := func(of string) string { return below + "." + of + "." + set.name }
			all, _ := strconv.Atoi(s.Sysctls[key("all")]) // 0 where the kernel has none
			own, err1 := strconv.Atoi(s.Sysctls[key(c.Interface)])
			theirs, err2 := strconv.Atoi(s.Sysctls[key(name)])
			if err1 != nil || err2 != nil || set.with(own, all) == set.with(theirs, all) {
				continue
			}
			facts = append(facts, fact(why.SettingDiffers, why.Values{
				"node": s.Node, "interface": name, "text": fmt.Sprintf("%s = %d", key(name), theirs), "own": fmt.Sprintf("%s = %d", key(c.Interface), own),
			}))
		}
	}
	return facts
}
