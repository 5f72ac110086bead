package inquire

import (
	"testing"

	"packetwalk/trace"
	"packetwalk/trace/why"
)

func TestBrought(t *testing.T) {
	walk := func(d trace.Direction, o trace.Outcome, p trace.Packet) trace.Walk {
		return trace.Walk{Direction: d, Outcome: o, Packet: p}
	}
	syn := walk(trace.Original, trace.Delivered, trace.Packet{Proto: trace.TCP, Flags: trace.SYN})
	synAck := trace.Packet{Proto: trace.TCP, Flags: trace.SYN | trace.ACK}
	reset := trace.Packet{Proto: trace.TCP, Flags: trace.RST | trace.ACK}
	icmp := func(proto trace.Proto, typ, code uint8) trace.Packet {
		return trace.Packet{Proto: proto, ICMPType: typ, ICMPCode: code, Embedded: &trace.Packet{}}
	}
	for name, c := range map[string]struct {
		second trace.Walk
		want   why.Result
	}{
		"an answer":                   {walk(trace.Reply, trace.Delivered, synAck), why.Answered},
		"an answer that left":         {walk(trace.Reply, trace.Forwarded, synAck), why.Answered},
		"an answer that was dropped":  {walk(trace.Reply, trace.Dropped, synAck), why.Silent},
		"a reset":                     {walk(trace.Reply, trace.Forwarded, reset), why.Refused},
		"the sender's own reset":      {walk(trace.Original, trace.Forwarded, reset), why.Silent},
		"port unreachable":            {walk(trace.Reply, trace.Delivered, icmp(trace.ICMP, 3, 3)), why.Refused},
		"port unreachable, IPv6":      {walk("", trace.Delivered, icmp(trace.ICMPv6, 1, 4)), why.Refused},
		"host unreachable":            {walk("", trace.Delivered, icmp(trace.ICMP, 3, 1)), why.Unreachable},
		"no route, IPv6":              {walk("", trace.Delivered, icmp(trace.ICMPv6, 1, 0)), why.Unreachable},
		"an error that was dropped":   {walk("", trace.Dropped, icmp(trace.ICMP, 3, 1)), why.Silent},
		"the request once more":       {syn, why.Silent},
		"an answer still on its way":  {walk(trace.Reply, "", synAck), why.Silent},
		"an answer, unfinished by us": {walk(trace.Reply, trace.Unfinished, synAck), why.Silent},
	} {
		if got := brought([]trace.Walk{syn, c.second}); got != c.want {
			t.Errorf("%s: the request counts as %s, want %s", name, got, c.want)
		}
	}
}
