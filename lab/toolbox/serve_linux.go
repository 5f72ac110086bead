package toolbox

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"strconv"

	"packetwalk/lab/control"
)

const serveUsage = "usage: serve [--reply TEXT] [http|tcp|udp] [ADDRESS:]PORT"

// serve has the lab start a service in this node, in place of the one on the
// same port, and ends at once.
func serve(name string, args []string) int {
	s, err := parseServe(args)
	if errors.Is(err, flag.ErrHelp) {
		fmt.Println(serveUsage)
		return 0
	}
	if err != nil {
		return complain(name, 2, "%v\n%s", err, serveUsage)
	}
	if err := control.ServeHere(s); err != nil {
		return complain(name, 1, "%v", err)
	}
	fmt.Printf("serving %s on %s\n", s.Protocol, s.Listen)
	return 0
}

// parseServe reads the arguments of serve.
func parseServe(args []string) (s control.Service, err error) {
	flags := flag.NewFlagSet("serve", flag.ContinueOnError)
	flags.SetOutput(io.Discard)
	flags.Func("reply", "", func(text string) error { text += "\n"; s.Reply = &text; return nil })
	if err := flags.Parse(args); err != nil {
		return s, err
	}
	s.Protocol = "http"
	rest := flags.Args()
	if len(rest) == 2 {
		s.Protocol, rest = rest[0], rest[1:]
	}
	if len(rest) != 1 {
		return s, errors.New("expected an address and a port to listen on")
	}
	if s.Protocol != "http" && s.Protocol != "tcp" && s.Protocol != "udp" {
		return s, fmt.Errorf("%q is none of http, tcp and udp", s.Protocol)
	}
	if port, err := strconv.ParseUint(rest[0], 10, 16); err == nil {
		s.Listen = netip.AddrPortFrom(netip.IPv4Unspecified(), uint16(port))
	} else if s.Listen, err = netip.ParseAddrPort(rest[0]); err != nil {
		return s, fmt.Errorf("%q is no ADDRESS:PORT", rest[0])
	}
	if s.Listen.Port() == 0 {
		return s, errors.New("the port is missing")
	}
	return s, nil
}
