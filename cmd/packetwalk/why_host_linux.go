package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"time"

	"packetwalk/trace"
	"packetwalk/trace/docker"
	"packetwalk/trace/host"
	"packetwalk/trace/why"
	"packetwalk/trace/why/inquire"
	"packetwalk/trace/why/vantage"
	"packetwalk/tui"
)

// whyOnMachine asks on this machine. Nothing of it is changed, but for probes
// and, with --from outside, the link of a temporary client.
func whyOnMachine(ctx context.Context, flags whyFlags) error {
	origin, err := originOf(flags.from)
	if err != nil {
		return err
	}
	if os.Geteuid() != 0 {
		return errors.New("asking about this machine needs root: run it with sudo")
	}
	if _, err := readyMachines(ctx, nil, []trace.Family{trace.IPv4, trace.IPv6}); err != nil {
		return err
	}
	if origin.Kind == vantage.Anywhere {
		flags.from = "" // whoever it is
	}
	h := &hostScene{flags: flags, origin: origin, place: vantage.Here()}
	h.machine = vantage.Open(ctx, h.place, docker.Socket(os.Getenv))
	t := &theater{flags: flags, ask: h.ask, watch: origin.Kind == vantage.Anywhere}
	return t.show(ctx)
}

// originOf reads --from on a machine.
func originOf(from string) (vantage.Origin, error) {
	name, isContainer := strings.CutPrefix(strings.Replace(from, ":", " ", 1), "container ")
	switch name = strings.TrimSpace(name); {
	case from == "" || from == "anyone":
		return vantage.Origin{}, nil
	case from == "local":
		return vantage.Origin{Kind: vantage.Local}, nil
	case from == "outside":
		return vantage.Origin{Kind: vantage.FromOutside}, nil
	case isContainer && name != "":
		return vantage.Origin{Kind: vantage.InContainer, Container: name}, nil
	}
	return vantage.Origin{}, usageError{inputError{fmt.Errorf("--from %q: on a machine it is local, outside, container NAME, or anyone to wait for a request; a node belongs to a lab, and no running lab has one of that name", from)}}
}

// hostScene is this machine, to be asked about.
type hostScene struct {
	flags   whyFlags
	origin  vantage.Origin
	place   inquire.Place
	machine *vantage.Machine
}

// watchFor is how long a request is waited for if nothing else is said.
const watchFor = 5 * time.Minute

func (h *hostScene) ask(ctx context.Context) (a tui.Asked, err error) {
	addr, err := h.resolve(ctx)
	if err != nil {
		return a, err
	}
	target := h.flags.wanted.At(addr)
	s, err := h.machine.Scene(ctx, h.origin, target)
	if err != nil {
		if errors.Is(err, vantage.ErrUnknownName) {
			err = usageError{inputError{err}}
		}
		return a, err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	s.Options = guarded()
	question := why.Question{Target: target, From: s.From, Port: h.flags.port, StandIn: s.Outside != nil}
	ask := func(q *inquire.Inquiry) (why.Evidence, error) { return q.Ask(ctx, question) }
	if h.origin.Kind == vantage.Anywhere {
		ask = func(q *inquire.Inquiry) (why.Evidence, error) { return h.watch(ctx, q, question) }
	} else {
		s.Wait = h.flags.wait
	}
	e, err := inScene(ctx, s.Scene, ask)
	if err != nil {
		return a, err
	}
	a = asked(e, topologyOf(s.Places, e.Hosts))
	if s.Outside != nil {
		a.Answer.Unseen = append(a.Answer.Unseen, s.Outside.Caveats(e.Hosts[h.place.Name], e.Rules[h.place.Name], target.Proto)...)
	}
	return a, nil
}

// watch waits for somebody's request.
func (h *hostScene) watch(ctx context.Context, q *inquire.Inquiry, question why.Question) (why.Evidence, error) {
	wait := h.flags.wait
	if wait == 0 {
		wait = watchFor
	}
	if h.flags.view() != viewTUI { // the screen says so itself
		fmt.Fprintf(os.Stderr, "packetwalk: watching for a request to %s for %v: try it now, from where it does not work (or see --from)\n", question.Target, wait)
	}
	ctx, cancel := context.WithTimeout(ctx, wait)
	defer cancel()
	e, err := q.Watch(ctx, question)
	if errors.Is(err, context.DeadlineExceeded) {
		err = fmt.Errorf("watching for a request to %s: none was seen on this machine in %v: "+
			"either nobody asked, or what they sent does not come here; with --from outside this program asks itself", question.Target, wait)
	}
	return e, err
}

// resolveWithin is how long the system may take to resolve a name.
const resolveWithin = 5 * time.Second

// resolve finds the target's address: as it is written, that of a container, or
// what the system makes of the name.
func (h *hostScene) resolve(ctx context.Context) (netip.Addr, error) {
	name := h.flags.wanted.Host
	if a, err := netip.ParseAddr(name); err == nil {
		return a.Unmap(), nil
	}
	if name == "" {
		return h.own(ctx)
	}
	addresses, err := h.machine.Resolve(name)
	if err == nil {
		return addresses[0], nil
	}
	if !errors.Is(err, vantage.ErrUnknownName) && h.machine.Unavailable() == nil {
		return netip.Addr{}, usageError{inputError{err}} // a container is meant
	}
	ctx, cancel := context.WithTimeout(ctx, resolveWithin)
	defer cancel()
	found, dnsErr := net.DefaultResolver.LookupNetIP(ctx, "ip", name)
	if dnsErr != nil {
		return netip.Addr{}, usageError{inputError{fmt.Errorf("%w; and the system does not know the name: %w", err, dnsErr)}}
	}
	return found[0].Unmap(), nil
}

// own is the machine's own address, the first that others may reach it by.
func (h *hostScene) own(ctx context.Context) (netip.Addr, error) {
	hosts, err := inquire.Look(ctx, []inquire.Place{h.place}, nil)
	if err != nil {
		return netip.Addr{}, err
	}
	a, ok := h.flags.wanted.Resolve(map[string]host.State{h.place.Name: hosts[h.place.Name]}, map[string]string{h.place.Name: h.place.Kind}, "")
	if !ok {
		return a, usageError{inputError{errors.New("resolving the target: the machine has no address by which others reach it: name one")}}
	}
	return a, nil
}
