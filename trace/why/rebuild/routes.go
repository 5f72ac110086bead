package rebuild

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/host"
)

// route is a route as ip-route(8) lists it.
type route struct {
	host.Route
	line int
	text string
	// unknown is what in it is not understood; empty where all of it is.
	unknown string
	// familyKnown says that an address in it tells the family.
	familyKnown bool
}

// choice is a line of ip-rule(8).
type choice struct {
	host.Choice
	line    int
	text    string
	unknown string
}

const routeCommand = "ip route"

// routing is what a listing of routes tells.
type routing struct {
	routes  []*route
	choices []choice
	// tables are the numbers given to tables that have a name only.
	tables map[string]int
	named  []namedTable // in the order of the text
}

type namedTable struct {
	name         string
	number, line int
}

// readRoutes reads what ip-route(8) prints, and ip-rule(8).
func readRoutes(f File) (routing, error) {
	lines, err := f.lines(routeCommand)
	if err != nil {
		return routing{}, err
	}
	p := routeParser{file: f, routing: routing{tables: map[string]int{}}}
	switch first := strings.TrimSpace(strings.Join(lines, "\n")); {
	case first[0] == '[' || first[0] == '{':
		err = p.json(strings.Join(lines, "\n"))
	default:
		err = p.text(lines)
	}
	return p.routing, err
}

type routeParser struct {
	routing
	file File
}

func (p *routeParser) text(lines []string) error {
	for i, l := range lines {
		words := strings.Fields(strings.ReplaceAll(l, `\`, " "))
		if len(words) == 0 {
			continue
		}
		var err error
		switch {
		case isChoice(words):
			err = p.choice(i+1, words)
		case words[0] == "nexthop" && len(p.routes) > 0:
			err = p.more(i+1, words)
		default:
			err = p.route(i+1, words)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// routeTypes are the words of ip-route(8) for types of route.
var routeTypes = map[string]host.RouteType{
	"unicast": host.Unicast, "local": host.Local, "broadcast": host.Broadcast, "blackhole": host.Blackhole,
	"unreachable": host.Unreachable, "prohibit": host.Prohibit, "throw": host.Throw,
	"multicast": "multicast", "anycast": "anycast", "nat": "nat",
}

// route reads a line: "[TYPE] DESTINATION [via ADDRESS] [dev NAME] …".
func (p *routeParser) route(line int, words []string) error {
	r := &route{line: line, text: strings.Join(words, " "), Route: host.Route{Table: host.TableMain, Type: host.Unicast}}
	rest := words
	if t, ok := routeTypes[words[0]]; ok {
		r.Type, rest = t, words[1:]
	}
	if len(rest) == 0 {
		return p.file.fault(line, "there is no destination behind %s: is the line cut off?", words[0])
	}
	switch d, err := parsePrefix(rest[0]); {
	case rest[0] == "default":
	case err != nil:
		return p.file.fault(line, "this is no route: %q is neither default nor a network: is this the output of ip route?", rest[0])
	case d != d.Masked():
		return p.file.fault(line, "%s is no network: did you mean %s?", d, d.Masked())
	default:
		r.Destination, r.familyKnown = d, true
	}
	if err := p.attributes(r, line, rest[1:]); err != nil {
		return err
	}
	p.add(r)
	return nil
}

// add adds a route whose attributes are read, and settles its family.
func (p *routeParser) add(r *route) {
	r.Family = trace.IPv4
	for _, a := range []netip.Addr{r.Destination.Addr(), r.Via, r.Source} {
		if a.IsValid() {
			r.Family, r.familyKnown = trace.FamilyOf(a), true
			break
		}
	}
	if !r.Destination.IsValid() {
		zero := netip.IPv4Unspecified()
		if r.Family == trace.IPv6 {
			zero = netip.IPv6Unspecified()
		}
		r.Destination = netip.PrefixFrom(zero, 0)
	}
	p.routes = append(p.routes, r)
}

// more reads a line that continues the route before.
func (p *routeParser) more(line int, words []string) error {
	r := p.routes[len(p.routes)-1]
	r.text += " " + strings.Join(words, " ")
	return p.attributes(r, line, words)
}

// Words of ip-route(8) behind a destination: those with a value that counts, those
// with a value that decides nothing here, and those without one.
var (
	knownValues = []string{"via", "src", "dev", "metric", "mtu", "table", "scope", "proto"}
	idleValues  = []string{"pref", "expires", "error", "advmss", "window", "rtt", "rttvar", "cwnd", "initcwnd", "initrwnd", "ssthresh", "realm", "realms", "hoplimit", "weight", "rto_min", "quickack", "congctl", "features", "reordering", "nhid", "users", "age", "used", "uid"}
	idleFlags   = []string{"pervasive", "offload", "rt_offload", "trap", "rt_trap", "offload_failed", "rt_offload_failed", "cache", "notify", "unresolved"}
)

func (p *routeParser) attributes(r *route, line int, words []string) error {
	for i := 0; i < len(words); i++ {
		w, value := words[i], ""
		switch {
		case slices.Contains(idleFlags, w):
			continue
		case w == "onlink":
			r.OnLink = true
			continue
		case w == "linkdown": // used all the same, unless a sysctl says otherwise
			continue
		case w == "dead":
			r.Dead = true
			continue
		case w == "nexthop":
			r.NextHop = append(r.NextHop, host.NextHop{})
			continue
		case !slices.Contains(knownValues, w) && !slices.Contains(idleValues, w):
			r.unknown = w // and whether it has a value nobody knows
			return nil
		case i+1 == len(words):
			return p.file.fault(line, "there is nothing behind %s: is the line cut off?", w)
		}
		i++
		value = words[i]
		if w == "via" && (value == "inet" || value == "inet6") && i+1 < len(words) {
			i++
			value = words[i]
		}
		if w == "mtu" && value == "lock" && i+1 < len(words) {
			i++
			value = words[i]
		}
		if err := p.attribute(r, line, w, value); err != nil {
			return err
		}
	}
	return nil
}

// attribute takes one word and its value.
func (p *routeParser) attribute(r *route, line int, word, value string) (err error) {
	switch word {
	case "via", "src":
		a, err := netip.ParseAddr(value)
		if err != nil || a.Zone() != "" {
			return p.file.fault(line, "%q behind %s is no address: is the line cut off?", value, word)
		}
		switch {
		case word == "src":
			r.Source = a
		case len(r.NextHop) > 0:
			r.NextHop[len(r.NextHop)-1].Via = a
		default:
			r.Via = a
		}
	case "dev":
		if !isInterface(value) {
			return p.file.fault(line, "%q is no name for an interface", value)
		}
		if n := len(r.NextHop); n > 0 {
			r.NextHop[n-1].Interface = value
		} else {
			r.Interface = value
		}
	case "metric", "mtu":
		n, err := strconv.ParseUint(value, 0, 31)
		if err != nil {
			return p.file.fault(line, "%q behind %s is no number: is the line cut off?", value, word)
		}
		if word == "metric" {
			r.Metric = int(n)
		} else {
			r.MTU = int(n)
		}
	case "table":
		r.Table, err = p.table(line, value)
		return err
	case "scope":
		r.Scope = value
	case "proto":
		r.Kernel = value == "kernel"
	}
	return nil
}

// table is the number of a routing table. One that has a name only gets a
// number that is free, since the name's own is in a file of the host.
func (p *routeParser) table(line int, name string) (int, error) {
	switch name {
	case "main":
		return host.TableMain, nil
	case "local":
		return host.TableLocal, nil
	case "default":
		return host.TableDefault, nil
	}
	if n, err := strconv.ParseUint(name, 0, 31); err == nil {
		return int(n), nil
	}
	if strings.IndexFunc(name, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
		return 0, p.file.fault(line, "%q is no routing table", name)
	}
	if p.tables[name] == 0 {
		const firstOwn = 10000
		p.tables[name] = firstOwn + len(p.tables)
		p.named = append(p.named, namedTable{name, p.tables[name], line})
	}
	return p.tables[name], nil
}

// jsonRoute is a route as ip -j route prints it, or a rule of ip -j rule.
type jsonRoute struct {
	Type     string   `json:"type"`
	Dst      string   `json:"dst"`
	Gateway  string   `json:"gateway"`
	Via      jsonVia  `json:"via"`
	Dev      string   `json:"dev"`
	Protocol any      `json:"protocol"`
	Scope    any      `json:"scope"`
	Source   string   `json:"prefsrc"`
	Metric   *int64   `json:"metric"`
	Table    any      `json:"table"`
	Flags    []string `json:"flags"`
	Metrics  []struct {
		MTU int `json:"mtu"`
	} `json:"metrics"`
	NextHops []struct {
		Gateway string  `json:"gateway"`
		Via     jsonVia `json:"via"`
		Dev     string  `json:"dev"`
	} `json:"nexthops"`
	Encap any    `json:"encap"`
	From  string `json:"from"`

	jsonChoice
}

type jsonVia struct {
	Host string `json:"host"`
}

// json puts each object into the words of the other format, so that there is
// one reader of both.
func (p *routeParser) json(text string) error {
	return decodeJSON(p.file, text, func(line int, j jsonRoute) error {
		if j.Priority != nil {
			return p.choice(line, j.choiceWords())
		}
		if j.Dst == "" {
			return p.file.fault(line, "a route without dst: is this the output of ip -j route?")
		}
		return p.route(line, j.words())
	})
}

func (j jsonRoute) words() []string {
	var words []string
	add := func(name, value string) {
		if value != "" {
			words = append(words, name, value)
		}
	}
	if j.Type != "" {
		words = append(words, j.Type)
	}
	words = append(words, j.Dst)
	add("from", j.From)
	add("via", j.Gateway)
	add("via", j.Via.Host)
	add("dev", j.Dev)
	add("proto", textOf(j.Protocol))
	add("scope", textOf(j.Scope))
	add("src", j.Source)
	add("table", textOf(j.Table))
	if j.Metric != nil {
		add("metric", strconv.FormatInt(*j.Metric, 10))
	}
	for _, m := range j.Metrics {
		if m.MTU != 0 {
			add("mtu", strconv.Itoa(m.MTU))
		}
	}
	add("encap", textOf(j.Encap))
	for _, f := range j.Flags {
		words = append(words, strings.Fields(f)...)
	}
	for _, n := range j.NextHops {
		words = append(words, "nexthop")
		add("via", n.Gateway)
		add("via", n.Via.Host)
		add("dev", n.Dev)
	}
	return words
}

// textOf is a value that ip prints as a name or as a number.
func textOf(v any) string {
	switch v := v.(type) {
	case string:
		return v
	case float64:
		return strconv.FormatFloat(v, 'f', -1, 64)
	}
	return ""
}
