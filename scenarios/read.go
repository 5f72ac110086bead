package scenarios

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"
	"time"

	"github.com/goccy/go-yaml/ast"

	"packetwalk/lab"
)

func (r *reader) scenario(n ast.Node, s *Scenario) {
	t := &s.Topology
	r.mapping("", n, fields{
		"name":     into(r, &s.Name),
		"title":    r.text(&s.Title),
		"summary":  r.text(&s.Summary),
		"kind":     into(r, &s.Kind),
		"iptables": into(r, &s.Iptables),
		"steps":    elements(r, &s.Steps, r.step),
		"nodes":    elements(r, &t.Nodes, r.node),
		"links":    elements(r, &t.Links, r.link),
		"services": elements(r, &t.Services, func(path string, n ast.Node, s *lab.Service) {
			r.mapping(path, n, fields{
				"node": into(r, &s.Node), "protocol": into(r, &s.Protocol), "reply": into(r, &s.Reply),
				"listen": parsed(r, &s.Listen, parseListen, "a port, or an address with a port such as 127.0.0.1:80"),
			})
		}),
		"clients": elements(r, &t.Clients, func(path string, n ast.Node, c *lab.Client) {
			r.mapping(path, n, fields{
				"name": into(r, &c.Name), "node": into(r, &c.Node), "protocol": into(r, &c.Protocol),
				"to":   parsed(r, &c.To, parseTo, "an address with a port, such as 10.0.0.1:80"),
				"from": parsed(r, &c.From, parsePort, "a port"),
				"wait": parsed(r, &c.Wait, time.ParseDuration, "a time such as 800ms or 2s"),
			})
		}),
	})
}

// elements reads a list of mappings.
func elements[T any](r *reader, to *[]T, read func(string, ast.Node, *T)) func(string, ast.Node) {
	return func(path string, n ast.Node) {
		r.list(path, n, func(path string, n ast.Node) {
			var v T
			read(path, n, &v)
			*to = append(*to, v)
		})
	}
}

// languageCode is a code of ISO 639: two or three letters.
var languageCode = regexp.MustCompile(`^[a-z]{2,3}$`)

// text reads one text, which is taken for English, or one for each language.
func (r *reader) text(to *Text) func(string, ast.Node) {
	return func(path string, n ast.Node) {
		*to = Text{}
		defer func() { r.texts = append(r.texts, placedText{path, *to}) }()
		if s, ok := text(n); ok {
			r.oneText(path, n, s, to, "en")
			return
		}
		for _, e := range r.entries(path, n) {
			if !languageCode.MatchString(e.key) {
				r.faultAt(e.at, "%q is no code of a language, such as en or zh", e.key)
				r.faulty[path] = true
				continue
			}
			if s, ok := r.scalar(join(path, e.key), e.value); ok {
				r.oneText(join(path, e.key), e.value, s, to, e.key)
			}
		}
	}
}

func (r *reader) oneText(path string, n ast.Node, s string, to *Text, lang string) {
	r.note(path, n)
	if strings.TrimSpace(s) == "" {
		r.fault(path, "the text is empty")
		return
	}
	(*to)[lang] = s
}

func (r *reader) node(path string, n ast.Node, to *lab.Node) {
	r.mapping(path, n, fields{
		"name": into(r, &to.Name),
		"kind": into(r, &to.Kind),
		"bridges": elements(r, &to.Bridges, func(path string, n ast.Node, b *lab.Bridge) {
			r.mapping(path, n, fields{"name": into(r, &b.Name), "addresses": r.prefixes(&b.Addresses)})
		}),
		"loopback": parsed(r, &to.LoopbackDown, parseDown, "up or down"),
		"sysctls":  r.sysctls(&to.Sysctls),
		"rules":    r.words(&to.Rules),
		"routes": elements(r, &to.Routes, func(path string, n ast.Node, route *lab.Route) {
			parsed(r, route, parseRoute, `a route such as "default via 10.0.0.1" or "10.1.0.0/16 via 10.0.0.1 dev eth0"`)(path, n)
		}),
	})
}

var errDown = errors.New("neither up nor down")

// parseDown reads whether an interface is left down.
func parseDown(s string) (down bool, err error) {
	switch s {
	case "up", "down":
		return s == "down", nil
	}
	return false, errDown
}

// sysctls reads a mapping, whose order counts.
func (r *reader) sysctls(to *[]lab.Sysctl) func(string, ast.Node) {
	return func(path string, n ast.Node) {
		for i, e := range r.entries(path, n) {
			value, _ := r.scalar(join(path, e.key), e.value)
			r.at[fmt.Sprintf("%s[%d]", path, i)] = e.at
			*to = append(*to, lab.Sysctl{Name: e.key, Value: value})
		}
	}
}

func (r *reader) link(path string, n ast.Node, to *lab.Link) {
	var ends []lab.End
	r.mapping(path, n, fields{
		"ends": elements(r, &ends, func(path string, n ast.Node, e *lab.End) {
			r.mapping(path, n, fields{
				"node": into(r, &e.Node), "interface": into(r, &e.Interface),
				"addresses": r.prefixes(&e.Addresses), "bridge": into(r, &e.Bridge),
			})
		}),
	})
	if len(ends) != len(to.Ends) {
		r.fault(join(path, "ends"), "a link has two ends, not %d", len(ends))
		return
	}
	to.Ends = [2]lab.End(ends)
}

var errRoute = errors.New("no route")

// parseRoute reads a route in the words of ip-route(8).
func parseRoute(s string) (r lab.Route, err error) {
	words := strings.Fields(s)
	if len(words) == 0 || len(words)%2 == 0 {
		return r, errRoute
	}
	if words[0] != "default" {
		if r.Destination, err = parseNetwork(words[0]); err != nil {
			return r, err
		}
	}
	for i := 1; i < len(words); i += 2 {
		switch {
		case words[i] == "via" && !r.Via.IsValid():
			if r.Via, err = netip.ParseAddr(words[i+1]); err != nil {
				return r, err
			}
		case words[i] == "dev" && r.Interface == "":
			r.Interface = words[i+1]
		default:
			return r, errRoute
		}
	}
	return r, nil
}

// parseNetwork reads a network, or one address as the network of its own.
func parseNetwork(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	return netip.ParsePrefix(s)
}
