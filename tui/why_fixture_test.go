package tui

import (
	"strings"

	"packetwalk/trace"
	"packetwalk/trace/why"
)

// question is the fixture's: can the client reach the published port?
func question() why.Question {
	return why.Question{Target: why.Target{Proto: trace.TCP, Addr: public}, From: "client"}
}

const userRule = "-s 192.168.23.0/24 -p tcp -m tcp --dport 80 -m comment --comment \"closed for repairs\" -j DROP"

// blockedWalk is the client's SYN that a rule of DOCKER-USER drops.
func blockedWalk() trace.Walk {
	w := synWalk()
	for i, s := range w.Steps {
		if s.Hook == trace.Forward && s.Chain == "DOCKER-USER" && s.Rule == 1 {
			w.Steps = w.Steps[:i+1]
			w.Steps[i].Text, w.Steps[i].Verdict = "-A DOCKER-USER "+userRule, trace.Drop
			w.Outcome, w.End = trace.Dropped, i
			break
		}
	}
	return w
}

// resetWalk is the container's answer to a SYN that nothing listens for.
func resetWalk() trace.Walk {
	w := synAckWalk()
	w.Packet.Flags, w.Answers = trace.RST|trace.ACK, 1
	return w
}

// fact is a piece of evidence about a walk; step -1 for the whole walk.
func fact(kind why.FactKind, w trace.Walk, step int, pairs ...string) why.Fact {
	f := why.Fact{Kind: kind, Walk: w.ID, Step: step, Values: why.Values{}}
	for i := 0; i < len(pairs); i += 2 {
		f.Values[pairs[i]] = pairs[i+1]
	}
	return f
}

func rewritten(w trace.Walk) why.Fact {
	return fact(why.Rewritten, w, 12, "node", "host", "table", "nat", "chain", "DOCKER", "rule", "2", "dst", private.String())
}

// blocked is the answer where a rule of DOCKER-USER is to blame.
func blocked() why.Answer {
	w := blockedWalk()
	return why.Answer{
		Question: question(), Cause: "drop-rule",
		Culprit: &why.Culprit{Kind: why.Rule, Node: "host", Variant: w.Steps[w.End].Variant.String(), Table: trace.Filter, Chain: "DOCKER-USER", Rule: 1, Text: "-A DOCKER-USER " + userRule},
		Values: why.Values{"target": "192.168.23.149:80", "node": "host", "table": "filter", "chain": "DOCKER-USER", "rule": "1",
			"let": "request", "transport": "TCP", "sender": "192.168.23.1", "to": "172.17.0.2:80", "wider": "iptables -D DOCKER-USER " + userRule},
		Evidence: []why.Fact{
			rewritten(w),
			fact(why.RequestEnded, w, w.End, "outcome", "dropped", "node", "host", "place", "filter/DOCKER-USER", "rule", "1"),
			fact(why.KernelAgrees, trace.Walk{}, -1, "reason", "NETFILTER_DROP", "function", "nft_do_chain"),
		},
		Fix:     why.Fix{Node: "host", Commands: []string{"iptables -I DOCKER-USER 1 -s 192.168.23.1/32 -d 172.17.0.2/32 -p tcp -m tcp --dport 80 -m conntrack --ctstate NEW,ESTABLISHED,RELATED -j RETURN"}},
		Attempt: why.Attempt{Result: why.Silent, Err: "ETIMEDOUT", Local: client, Walks: []trace.Walk{w}},
	}
}

// served is the answer where all is well.
func served() why.Answer {
	syn, reply := synWalk(), synAckWalk()
	return why.Answer{
		Question: question(), Reachable: true,
		Evidence: []why.Fact{
			rewritten(syn),
			fact(why.RequestEnded, syn, syn.End, "outcome", "delivered", "node", "c1", "place", "nat/INPUT"),
			fact(why.ReplyEnded, reply, reply.End, "outcome", "delivered", "node", "client", "place", "security/INPUT"),
		},
		Attempt: why.Attempt{Result: why.Answered, Local: client, Walks: []trace.Walk{syn, reply, ackWalk()}},
	}
}

// unheard is the answer where nothing listens.
func unheard() why.Answer {
	syn, reset := synWalk(), resetWalk()
	return why.Answer{
		Question: question(), Cause: "nothing-listens",
		Culprit: &why.Culprit{Kind: why.Socket, Node: "c1", Text: "tcp 172.17.0.2:80"},
		Values:  why.Values{"target": "192.168.23.149:80", "dst": private.String(), "at": "c1", "node": "c1"},
		Evidence: []why.Fact{
			rewritten(syn),
			fact(why.RequestEnded, syn, syn.End, "outcome", "delivered", "node", "c1", "place", "nat/INPUT"),
			fact(why.RefusalCame, reset, -1, "node", "c1", "packet", "RST ACK"),
			fact(why.SocketsThere, trace.Walk{}, -1, "node", "c1", "sockets", "tcp 127.0.0.1:8080, tcp [::]:8443"),
		},
		Attempt: why.Attempt{Result: why.Refused, Err: "ECONNREFUSED", Local: client, Walks: []trace.Walk{syn, reset}},
	}
}

// routeless is the answer where a route is to blame and nothing was sent.
func routeless() why.Answer {
	return why.Answer{
		Question: question(), Cause: why.Unknown,
		Culprit:  &why.Culprit{Kind: why.Route, Node: "client", Text: "blackhole 192.168.23.149"},
		Values:   why.Values{"target": "192.168.23.149:80"},
		Evidence: []why.Fact{fact(why.NothingSent, trace.Walk{}, -1, "from", "client", "err", "EINVAL")},
		Fix:      why.Fix{Node: "client", Commands: []string{"ip route del blackhole 192.168.23.149", "ip route get 192.168.23.149"}},
		Attempt:  why.Attempt{Result: why.Unreachable, Err: "EINVAL"},
	}
}

// unknown is the answer to a request that was watched and got lost.
func unknown() why.Answer {
	w := blockedWalk()
	w.Outcome, w.Steps = trace.Lost, w.Steps[:13]
	w.End = len(w.Steps) - 1
	q := question()
	q.From = ""
	return why.Answer{
		Question: q, Cause: why.Unknown, Values: why.Values{"target": "192.168.23.149:80"},
		Evidence: []why.Fact{fact(why.RequestEnded, w, w.End, "outcome", "lost", "node", "host", "place", "nat/DOCKER", "rule", "2")},
		Unseen: []why.Fact{
			fact(why.NotLookedAt, trace.Walk{}, -1, "node", "host", "part", "routes", "err", "operation not permitted"),
			fact(why.WouldShow, trace.Walk{}, -1, "node", "host", "command", "ip route get 172.17.0.2 from 192.168.23.1 iif ens33"),
		},
		Attempt: why.Attempt{Result: why.Silent, Walks: []trace.Walk{w}},
	}
}

// hostile is an answer whose names, rules and commands are long, wide, or want
// to take the terminal over.
func hostile() why.Answer {
	long := strings.Repeat("数据包被丢弃。x", 16) + "\x1b[31m\x1b]0;title\x07\u202e"
	a := blocked()
	for i := range a.Attempt.Walks[0].Steps {
		a.Attempt.Walks[0].Steps[i].Node += "-" + strings.Repeat("名", 20)
	}
	a.Question.Target.Name = strings.Repeat("web", 60)
	a.Question.From = strings.Repeat("客户", 60) + "\x1b[2J"
	a.Values["node"], a.Values["chain"] = long, long
	a.Culprit.Text, a.Culprit.Node = strings.Repeat("y", 300), long
	a.Fix = why.Fix{Node: long, Commands: []string{strings.Repeat("z", 400), "echo " + long}}
	a.Evidence = append(a.Evidence, fact(why.StateOf, trace.Walk{ID: 99}, 500, "node", long, "text", strings.Repeat("w", 300)))
	for range 6 {
		a.Unseen = append(a.Unseen, fact(why.WouldShow, trace.Walk{}, -1, "command", long, "node", "\a"))
	}
	return a
}

// answers are the fixture's, by what they show.
func answers() map[string]why.Answer {
	return map[string]why.Answer{"rule": blocked(), "reachable": served(), "socket": unheard(), "route": routeless(), "unknown": unknown()}
}
