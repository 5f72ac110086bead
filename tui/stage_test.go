package tui

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	tea "charm.land/bubbletea/v2"
	"github.com/charmbracelet/x/ansi"

	"packetwalk/lab"
	"packetwalk/trace"
)

// TestPacketStaysOnTheStage follows the packet frame by frame: between two steps
// in one node it never jumps by more than the way's length allows.
func TestPacketStaysOnTheStage(t *testing.T) {
	for _, size := range []struct{ w, h int }{{80, 24}, {120, 36}, {200, 50}} {
		for _, w := range fixtureWalks() {
			for i := range w.Steps[:len(w.Steps)-1] {
				g := newGrid(size.w, size.h)
				s := newStage(newWords("en"), newProgress(w, i))
				l := newLayout(size.w, size.h, 1, nowhere)
				s.draw(g, l.stage)
				followPacket(t, s, l.stage, fmt.Sprintf("%dx%d walk %d step %d", size.w, size.h, w.ID, i+1))
			}
		}
	}
}

func followPacket(t *testing.T, s *stage, r rect, where string) {
	t.Helper()
	var last point
	for n := range 101 {
		at, ok := s.packet(float64(n) / 100)
		if !ok {
			return // on its way to another node
		}
		if at.x < r.x || at.y < r.y || at.x >= r.x+r.w || at.y >= r.y+r.h {
			t.Errorf("%s: at %v, outside of %v", where, at, r)
		}
		if d := distance(at.x, last.x) + distance(at.y, last.y); n > 0 && d > 3 {
			t.Errorf("%s: jumps from %v to %v", where, last, at)
		}
		last = at
	}
}

func TestManyChainsAreSqueezed(t *testing.T) {
	b := newWalker(1, trace.Original, trace.SYN, client, public, trace.New)
	b.at("host", trace.Prerouting, "ens33", "")
	b.enter(trace.NAT, "PREROUTING")
	for i := range 30 {
		from := "PREROUTING"
		if i > 0 {
			from = fmt.Sprintf("KUBE-CHAIN-WITH-A-LONG-NAM%d", i-1)
		}
		to := fmt.Sprintf("KUBE-CHAIN-WITH-A-LONG-NAM%d", i)
		b.rule(trace.NAT, from, 1, "-j "+to, trace.Jump, to)
		b.enter(trace.NAT, to)
	}
	walk := b.done(trace.Unfinished)
	for _, size := range []struct{ w, h int }{{80, 24}, {100, 34}, {120, 36}, {200, 50}} {
		m := newTestModel(t, "en", size.w, size.h, walk)
		checkWalks(t, m, false)
		if size.w < 120 { // the compact stage has its chains in one line
			continue
		}
		m.player.step, m.player.frame = 30, 0
		if frame := ansi.Strip(m.frame()); !strings.Contains(frame, "⋮ ") || !strings.Contains(frame, "● ") {
			t.Errorf("%dx%d shows neither the packet's chain nor how many there are\n%s", size.w, size.h, frame)
		}
	}
}

func TestOrderOfINPUT(t *testing.T) {
	nft := newWalker(1, trace.Original, trace.SYN, client, public, trace.New)
	nft.at("host", trace.Input, "ens33", "")
	nft.empty(trace.Mangle, trace.Filter, trace.NAT, trace.Security)
	if v := variantOf(nft.done(trace.Delivered), trace.Legacy); v != trace.NFTables {
		t.Error("iptables-nft is not recognised by its order")
	}
	if v := variantOf(synWalk(), trace.Legacy); v != trace.Legacy {
		t.Error("iptables-legacy is taken for nft")
	}
}

func TestNodeLine(t *testing.T) {
	top := fixtureTopology()
	for _, w := range append(fixtureWalks(), trace.Walk{}) {
		line, others := nodeLine(top, w)
		if !slices.Equal(line, []string{"client", "host", "c1"}) || len(others) > 0 {
			t.Errorf("walk %d: %v, others %v", w.ID, line, others)
		}
	}
	top.Nodes = append(top.Nodes, lab.Node{Name: "c2", Kind: lab.Container})
	top.Links = append(top.Links, lab.Link{Ends: [2]lab.End{{Node: "host", Interface: "veth2", Bridge: "docker0"}, {Node: "c2", Interface: "eth0"}}})
	between := trace.Walk{Steps: []trace.Step{{Node: "c1"}, {Node: "host"}, {Node: "c2"}}}
	if line, others := nodeLine(top, between); !slices.Equal(line, []string{"c1", "host", "c2"}) || !slices.Equal(others, []string{"client"}) {
		t.Errorf("between containers: %v, others %v", line, others)
	}
}

// TestUnknownGround holds up what a trace of a real machine brings: no
// topology, no rulesets, IPv6, names with control characters, and a loopback walk.
func TestUnknownGround(t *testing.T) {
	b := newWalker(1, "", trace.SYN, client, public, "")
	b.at("here\x1b[2J", trace.Output, "", "lo")
	b.empty(trace.Raw)
	b.rule(trace.Filter, "OUTPUT", 12, strings.Repeat("-m comment --comment \"long \x1b[31m words\" ", 9)+"-j LOG", trace.Continue, "")
	b.at("here\x1b[2J", trace.Postrouting, "", "lo")
	b.empty(trace.Mangle)
	b.at("here\x1b[2J", trace.Prerouting, "lo", "")
	b.empty(trace.Raw, trace.Mangle)
	b.at("here\x1b[2J", trace.Input, "averylongnameXY", "")
	b.empty(trace.Filter)
	walk := b.done(trace.Lost)
	for _, size := range []struct{ w, h int }{{80, 24}, {120, 36}, {200, 50}} {
		m := newModel(Config{}, nil)
		m.Update(tea.WindowSizeMsg{Width: size.w, Height: size.h})
		checkFrame(t, m, "nothing known")
		m.Update(walksMsg{[]trace.Walk{walk}})
		checkWalks(t, m, true)
		if strings.Contains(m.frame(), "\x1b[2J") {
			t.Error("an escape sequence of a name reaches the terminal")
		}
	}
}
