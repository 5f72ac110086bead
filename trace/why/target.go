package why

import (
	"fmt"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
	"unicode"

	"packetwalk/trace"
)

// Wanted is a target as a user writes it, before its name is resolved.
type Wanted struct {
	Proto trace.Proto // ICMP stands for ICMPv6 too
	// Host is an address or a name; empty for the machine itself.
	Host string
	Port uint16 // 0 with ICMP
	HTTP bool
	// Path is what is asked for with HTTP; see Target.
	Path string
}

// TargetError says what is wrong with a target.
type TargetError struct{ Text, Problem string }

func (e *TargetError) Error() string {
	return fmt.Sprintf("reading the target %q: %s; write it as 192.0.2.1:80, [2001:db8::1]:80, web:80, udp/192.0.2.1:53, icmp/192.0.2.1 or http://192.0.2.1:8080/", e.Text, e.Problem)
}

// protocols are the words for protocols in targets.
var protocols = map[string]trace.Proto{"tcp": trace.TCP, "udp": trace.UDP, "icmp": trace.ICMP, "ping": trace.ICMP}

// ParseTarget reads a target: HOST:PORT over TCP, with the protocol in front of
// the whole ("udp/192.0.2.1:53"), in front of the port ("192.0.2.1:udp/53") or
// behind it ("192.0.2.1:53/udp"); a protocol and a port alone ("udp/53", "80")
// for the machine itself; "icmp/HOST" or "icmp" for a ping; or an http URL,
// which asks for a page, its path and query included. An https URL stands for TCP
// to its port, 443 where it has none: no page is asked for. Words for protocols
// are taken in any case. The error is a *TargetError.
func ParseTarget(text string) (Wanted, error) {
	p := targetParser{text: text, want: Wanted{Proto: trace.TCP}}
	if scheme, _, ok := strings.Cut(text, "://"); ok {
		return p.url(strings.ToLower(scheme))
	}
	rest := p.protocolInFront(text)
	host, port, err := p.split(rest)
	if err != nil {
		return Wanted{}, err
	}
	if err := p.port(p.protocolAround(port)); err != nil {
		return Wanted{}, err
	}
	p.want.Host = host
	return p.want, p.check()
}

type targetParser struct {
	text string
	want Wanted
}

func (p *targetParser) fault(format string, args ...any) error {
	return &TargetError{p.text, fmt.Sprintf(format, args...)}
}

// schemes are those of URLs, with their ports (RFC 9110, section 4.2).
var schemes = map[string]uint16{"http": 80, "https": 443}

func (p *targetParser) url(scheme string) (Wanted, error) {
	port, ok := schemes[scheme]
	if !ok {
		return Wanted{}, p.fault("%q is no scheme of a URL that can be asked", scheme)
	}
	u, err := url.Parse(p.text)
	if err != nil {
		return Wanted{}, p.fault("it is no URL")
	}
	p.want.HTTP, p.want.Host, p.want.Port = scheme == "http", u.Hostname(), port
	if p.want.HTTP && u.RequestURI() != "/" {
		p.want.Path = u.RequestURI()
	}
	if strings.ContainsFunc(p.want.Path, func(r rune) bool { return unicode.IsSpace(r) || unicode.IsControl(r) }) {
		return Wanted{}, p.fault("white space and control characters in a path have to be escaped, as %%20")
	}
	if text := u.Port(); text != "" {
		if err := p.port(text); err != nil {
			return Wanted{}, err
		}
	}
	return p.want, p.check()
}

// protocolInFront takes "udp/" off, and "icmp" alone.
func (p *targetParser) protocolInFront(text string) string {
	word, rest, slash := strings.Cut(text, "/")
	proto, ok := protocolOf(word)
	if !ok || !slash && proto != trace.ICMP {
		return text
	}
	p.want.Proto = proto
	return rest
}

func protocolOf(word string) (trace.Proto, bool) {
	proto, ok := protocols[strings.ToLower(word)]
	return proto, ok
}

// split parts host and port. Digits alone are a port, of this machine.
func (p *targetParser) split(text string) (host, port string, err error) {
	if inside, ok := strings.CutPrefix(text, "["); ok {
		host, port, ok = strings.Cut(inside, "]")
		if !ok || port != "" && !strings.HasPrefix(port, ":") {
			return "", "", p.fault("the address in brackets has no end, or something other than a port behind it")
		}
		return host, strings.TrimPrefix(port, ":"), nil
	}
	if _, err := netip.ParseAddr(text); err == nil {
		return text, "", nil
	}
	switch strings.Count(text, ":") {
	case 0:
		if _, err := strconv.ParseUint(strings.SplitN(text, "/", 2)[0], 10, 64); err == nil {
			return "", text, nil
		}
		return text, "", nil
	case 1:
		host, port, _ = strings.Cut(text, ":")
		return host, port, nil
	}
	return "", "", p.fault("an IPv6 address with a port needs brackets around it")
}

// protocolAround takes a protocol off a port: "udp/53", "53/udp", "icmp".
func (p *targetParser) protocolAround(port string) string {
	front, back, slash := strings.Cut(port, "/")
	if proto, ok := protocolOf(front); ok && (slash || proto == trace.ICMP) {
		p.want.Proto = proto
		return back
	}
	if proto, ok := protocolOf(back); ok && slash {
		p.want.Proto = proto
		return front
	}
	return port
}

func (p *targetParser) port(text string) error {
	if text == "" {
		return nil
	}
	n, err := strconv.ParseUint(text, 10, 64)
	switch {
	case err != nil && !isDigits(text):
		return p.fault("%q is no port number", text)
	case err != nil || n < 1 || n > 65535:
		return p.fault("port %s is out of range: there are 1 to 65535", text)
	}
	p.want.Port = uint16(n)
	return nil
}

func isDigits(s string) bool {
	return strings.Trim(s, "0123456789") == ""
}

// check finds what is missing.
func (p *targetParser) check() error {
	w := p.want
	switch {
	case p.text == "":
		return p.fault("it is empty")
	case w.Proto == trace.ICMP && w.Port != 0:
		return p.fault("ICMP has no ports")
	case w.Proto != trace.ICMP && w.Port == 0:
		return p.fault("it has no port")
	case strings.ContainsAny(w.Host, "/ \t\n\\"):
		return p.fault("%q is no address and no name", w.Host)
	}
	addr, err := netip.ParseAddr(w.Host)
	switch {
	case err != nil && w.Host != "" && strings.Trim(w.Host, "0123456789.") == "":
		return p.fault("%s is no IPv4 address", w.Host)
	case err == nil && (addr.IsMulticast() || addr.IsUnspecified()):
		return p.fault("%s is the address of no single machine", w.Host)
	}
	return nil
}

// Is says whether a packet's address is that of the target; with ICMP any port is.
func (t Target) Is(a netip.AddrPort) bool {
	want := t.Addr
	return a.Addr().WithZone("") == want.Addr().WithZone("").Unmap() && (want.Port() == 0 || a.Port() == want.Port())
}

// At is the target at an address.
func (w Wanted) At(a netip.Addr) Target {
	t := Target{Proto: w.Proto, Addr: netip.AddrPortFrom(a.Unmap(), w.Port), HTTP: w.HTTP, Path: w.Path}
	if t.Proto == trace.ICMP && t.Addr.Addr().Is6() {
		t.Proto = trace.ICMPv6
	}
	if _, err := netip.ParseAddr(w.Host); err != nil {
		t.Name = w.Host
	}
	return t
}
