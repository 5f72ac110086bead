package dockertest

import (
	"context"
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace"
	"packetwalk/trace/nflog"
	"packetwalk/trace/why"
	"packetwalk/trace/why/inquire"
	"packetwalk/trace/why/vantage"
	"packetwalk/trace/why/vantage/vantagetest"
)

// asking is a Docker host with some containers.
type asking struct {
	lab     *lab.Lab
	daemon  *daemon
	machine *vantage.Machine
}

// TestVantage asks from every point of a host with a real Docker daemon.
func TestVantage(t *testing.T) {
	labtest.NeedIptables(t, "")
	l := labtest.Build(t, topology(), "")
	host := l.Node("host")
	d := startDaemon(t, host)
	d.importImage(t)
	d.serve(t, "web", webPort)
	d.docker(t, "network", "create", "back")
	for _, options := range [][]string{
		{"--name", "db", "--network", "back", "--network-alias", "data"},
		{"--name", "beside", "--network", "container:web"},
		{"--name", "hosted", "--network", "host"},
		{"--name", "alone", "--network", "none"},
	} {
		d.docker(t, slices.Concat([]string{"run", "--detach"}, options, []string{image, "/busybox", "sleep", "1000"})...)
	}
	await(t, "the web server", func() bool { return answers(t, l, "web") })
	a := &asking{l, d, vantage.Open(t.Context(), inquire.Place{Name: "host", Kind: "host", Namespace: host}, d.socket)}
	must(t, a.machine.Unavailable())

	t.Run("published", a.testPublished)
	t.Run("names", a.testNames)
	t.Run("questions", a.testQuestions)
	t.Run("why", a.testWhy)
	t.Run("shared namespaces", a.testShared)
	t.Run("waiting", a.testWaiting)
	t.Run("killed", a.testKilled)
}

func (a *asking) address(t *testing.T, name string) netip.Addr {
	t.Helper()
	all, err := a.machine.Resolve(name)
	must(t, err)
	return all[0]
}

func (a *asking) testPublished(t *testing.T) {
	want := why.Publication{
		Container: "web", Proto: trace.TCP, Host: netip.AddrPortFrom(netip.IPv4Unspecified(), webPort), Inside: netip.MustParseAddrPort(a.daemon.address(t, "web") + ":80"),
	}
	if got := a.machine.Published(); !slices.Contains(got, want) {
		t.Errorf("published are %v, not %v", got, want)
	}
}

func (a *asking) testNames(t *testing.T) {
	db := a.daemon.docker(t, "inspect", "--format", "{{.NetworkSettings.Networks.back.IPAddress}}", "db")
	id := a.daemon.docker(t, "inspect", "--format", "{{.Id}}", "db")
	for _, name := range []string{"db", "data", id, id[:12]} {
		if got := a.address(t, name); got.String() != db {
			t.Errorf("%s has address %s, want %s", name, got, db)
		}
	}
	if got := a.machine.Names()[netip.MustParseAddr(db)]; got != "db" {
		t.Errorf("%s is called %q", db, got)
	}
	for name, want := range map[string]string{
		"nobody": "there are: alone, beside, db, hosted, web", "hosted": "network of its host", "alone": "no address", "beside": "no address", id[:1]: "there are:",
	} {
		_, err := a.machine.Resolve(name)
		if err == nil || !strings.Contains(err.Error(), want) || errors.Is(err, vantage.ErrUnknownName) != strings.Contains(want, "there are") {
			t.Errorf("resolving %q: %v", name, err)
		}
	}
}

// scene prepares a question and traces its places, until the test ends.
func (a *asking) scene(t *testing.T, origin vantage.Origin, to string) (*vantage.Scene, *inquire.Inquiry, why.Target) {
	t.Helper()
	target := why.Target{Proto: trace.TCP, Addr: netip.MustParseAddrPort(to)}
	s, err := a.machine.Scene(t.Context(), origin, target)
	must(t, err)
	t.Cleanup(func() { must(t, s.Close()) })
	s.Options = nflog.Options{Report: func(err error) { t.Error(err) }}
	q, err := inquire.Open(t.Context(), s.Scene)
	must(t, err)
	t.Cleanup(func() { must(t, q.Close(context.WithoutCancel(t.Context()))) })
	return s, q, target
}

func (a *asking) testQuestions(t *testing.T) {
	before := a.dumps(t)
	defer func() { a.unchanged(t, before) }() // when every scene is closed
	web := a.daemon.address(t, "web")
	outside := vantage.Origin{Kind: vantage.FromOutside}
	// Docker 28 and later drop what asks a container past its published port.
	direct, reached := trace.Delivered, []string{"outside", "host", "web"}
	if raw := command(t, a.lab.Node("host"), lab.Command("").Iptables, "-w", "-t", "raw", "-S"); strings.Contains(raw, "-d "+web+"/32 ") {
		direct, reached = trace.Dropped, []string{"outside", "host"}
	}
	for name, c := range map[string]struct {
		origin vantage.Origin
		to     string
		// traced are the places, passed those that the request is seen at.
		traced, passed []string
		outcome        trace.Outcome
	}{
		"outside, published":         {outside, "192.168.23.149:8080", []string{"host", "outside", "web"}, []string{"outside", "host", "web"}, trace.Delivered},
		"outside, no published port": {outside, "192.168.23.149:81", []string{"host", "outside"}, []string{"outside", "host"}, trace.Delivered},
		"outside, direct":            {outside, web + ":80", []string{"host", "outside", "web"}, reached, direct},
		"outside, not published":     {outside, web + ":81", []string{"host", "outside", "web"}, []string{"outside", "host"}, trace.Dropped},
		"local":                      {vantage.Origin{Kind: vantage.Local}, web + ":80", []string{"host", "web"}, []string{"host", "web"}, trace.Delivered},
		// Docker's proxy takes it, and asks the container itself.
		"container, published": {
			vantage.Origin{Kind: vantage.InContainer, Container: "db"}, "192.168.23.149:8080", []string{"host", "db", "web"}, []string{"db", "host"}, trace.Delivered,
		},
		"container, another network": {
			vantage.Origin{Kind: vantage.InContainer, Container: "data"}, web + ":80", []string{"host", "db", "web"}, []string{"db", "host"}, trace.Dropped,
		},
	} {
		t.Run(name, func(t *testing.T) {
			s, q, target := a.scene(t, c.origin, c.to)
			if got := names(s.Places); !slices.Equal(got, c.traced) {
				t.Errorf("traced are %v, want %v", got, c.traced)
			}
			e, err := q.Ask(t.Context(), why.Question{Target: target, From: s.From})
			must(t, err)
			if len(e.Attempt.Walks) == 0 {
				t.Fatalf("no walk was seen; the result is %s %s", e.Attempt.Result, e.Attempt.Err)
			}
			request := e.Attempt.Walks[0]
			var passed []string
			for _, step := range request.Steps {
				if !slices.Contains(passed, step.Node) {
					passed = append(passed, step.Node)
				}
			}
			if request.Outcome != c.outcome || !slices.Equal(passed, c.passed) {
				t.Errorf("the request was %s and passed %v, want %s, %v; %s %s:\n%s",
					request.Outcome, passed, c.outcome, c.passed, e.Attempt.Result, e.Attempt.Err, describe(request))
			}
		})
	}
}

// places are the machine and the containers that are asked about.
func (a *asking) places(t *testing.T) map[string]nflog.Namespace {
	t.Helper()
	all := map[string]nflog.Namespace{"host": a.lab.Node("host")}
	for _, name := range []string{"web", "db"} {
		ns, err := nflog.OpenNetNS(a.daemon.docker(t, "inspect", "--format", "{{.State.Pid}}", name))
		must(t, err)
		t.Cleanup(func() { must(t, ns.Close()) })
		all[name] = ns
	}
	return all
}

func (a *asking) dumps(t *testing.T) map[string][]string {
	t.Helper()
	all := map[string][]string{}
	for name, n := range a.places(t) {
		all[name] = vantagetest.Settled(t, n)
	}
	return all
}

// unchanged looks whether every place is as it was.
func (a *asking) unchanged(t *testing.T, before map[string][]string) {
	t.Helper()
	for name, n := range a.places(t) {
		t.Log("looking at " + name)
		vantagetest.Unchanged(t, n, before[name])
	}
}

func names(places []inquire.Place) []string {
	var all []string
	for _, p := range places {
		all = append(all, p.Name)
	}
	return all
}

// A namespace that several have is one place.
func (a *asking) testShared(t *testing.T) {
	for container, want := range map[string][]string{"hosted": {"host", "web"}, "beside": {"host", "beside"}, "alone": {"host", "alone", "web"}} {
		target := why.Target{Proto: trace.TCP, Addr: netip.MustParseAddrPort(a.daemon.address(t, "web") + ":80")}
		s, err := a.machine.Scene(t.Context(), vantage.Origin{Kind: vantage.InContainer, Container: container}, target)
		must(t, err)
		if got := names(s.Places); !slices.Equal(got, want) || !slices.Contains(want, s.From) {
			t.Errorf("from %s, which is %s, traced are %v, want %v", container, s.From, got, want)
		}
		must(t, s.Close())
	}
	_, err := a.machine.Scene(t.Context(), vantage.Origin{Kind: vantage.InContainer, Container: "nobody"}, why.Target{Proto: trace.TCP, Addr: netip.MustParseAddrPort("192.0.2.1:80")})
	if !errors.Is(err, vantage.ErrUnknownName) {
		t.Errorf("asking from a container that is not there: %v", err)
	}
}

func (a *asking) testWaiting(t *testing.T) {
	s, q, target := a.scene(t, vantage.Origin{}, "192.168.23.149:8080")
	if s.From != "" {
		t.Errorf("a request that is waited for comes from %q", s.From)
	}
	short, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := q.Watch(short, why.Question{Target: target}); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("waiting for what does not come ended with %v", err)
	}
	sent := make(chan bool)
	go func() { sent <- answers(t, a.lab, "web") }()
	e, err := q.Watch(t.Context(), why.Question{Target: target})
	must(t, err)
	if !<-sent {
		t.Error("the request was not answered")
	}
	request := e.Attempt.Walks[0]
	if e.Attempt.Result != why.Answered || e.Attempt.Local.Addr().String() != "192.168.23.1" || request.Outcome != trace.Delivered || request.Packet.Summary() != "SYN" {
		t.Errorf("the attempt from %s was %s; its first walk is:\n%s", e.Attempt.Local, e.Attempt.Result, describe(request))
	}
}

// A program that is killed while it asks leaves nothing, in containers either.
func (a *asking) testKilled(t *testing.T) {
	before := a.dumps(t)
	for name, role := range map[string]vantagetest.Role{
		"outside": {Origin: vantage.Origin{Kind: vantage.FromOutside}, Target: "192.168.23.149:8080", Socket: a.daemon.socket},
		"db":      {Origin: vantage.Origin{Kind: vantage.InContainer, Container: "db"}, Target: a.daemon.address(t, "web") + ":80", Socket: a.daemon.socket},
	} {
		t.Run(name, func(t *testing.T) {
			_, kill := role.Start(t, a.lab.Node("host"))
			if slices.Equal(before["web"], vantagetest.Dump(t, a.places(t)["web"])) {
				t.Error("there are no probes in the container")
			}
			kill()
			a.unchanged(t, before)
		})
	}
}
