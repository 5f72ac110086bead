package scenarios

import (
	"fmt"
	"slices"
	"strings"

	"packetwalk/lab"
	"packetwalk/trace"
)

// Words that an expectation may use, in the order in which a message lists them.
var (
	packets   = []Which{First, Reply, Every, None}
	outcomes  = []trace.Outcome{trace.Delivered, trace.Forwarded, trace.Dropped, trace.Rejected, trace.Lost, trace.Unfinished}
	protocols = []lab.Protocol{lab.HTTP, lab.TCPEcho, lab.UDPEcho, lab.Ping}
	states    = []trace.CTState{trace.New, trace.Established, trace.Related, trace.Invalid, trace.Untracked}
	// verdicts are those of trace.Verdict and the targets that end a packet's way
	// through a chain under their own name (iptables-extensions(8)).
	verdicts = []trace.Verdict{
		trace.Continue, trace.Jump, trace.Goto, trace.Return, trace.Accept, trace.Drop, trace.Reject, trace.Reached,
		trace.DNAT, trace.SNAT, trace.Masquerade, trace.Redirect, trace.Netmap, "QUEUE", "NFQUEUE", "TPROXY", "SYNPROXY",
	}
)

// word checks a word that may be missing.
func word[T ~string](v *validator, path string, w T, what string, known []T) {
	if w == "" || slices.Contains(known, w) {
		return
	}
	names := make([]string, len(known))
	for i, k := range known {
		names[i] = string(k)
	}
	v.fault(path, "%q is no %s; there are: %s", w, what, strings.Join(names, ", "))
}

func (v *validator) expectation(path string, e Expectation, sent []string) {
	v.chosen(path, e, sent)
	word(v, path+".packet", e.Packet, "choice of packets", packets)
	word(v, path+".outcome", e.Outcome, "outcome of a walk", outcomes)
	v.node(path+".at", e.At, false)
	if e.End != nil {
		v.place(path+".end", *e.End)
	}
	for i, p := range e.Through {
		v.place(fmt.Sprintf("%s.through[%d]", path, i), p)
	}
	for i, p := range e.Avoids {
		v.place(fmt.Sprintf("%s.avoids[%d]", path, i), p)
	}
	ofEnd := e.Outcome != "" || e.At != "" || e.End != nil || e.Src.IsValid() || e.Dst.IsValid() || len(e.Avoids) > 0
	switch {
	case e.Packet == None && (ofEnd || e.Answered != nil):
		v.fault(path, "a packet that must not be seen has no further qualities: beside from, to and protocol only through is possible")
	case e.Packet == "" && e.Answered == nil && !ofEnd && len(e.Through) == 0:
		v.fault(path, "the expectation says nothing: it needs one of answered, outcome, at, end, through, avoids, src, dst and packet")
	}
}

// chosen checks which packets an expectation is about.
func (v *validator) chosen(path string, e Expectation, sent []string) {
	others := e.From != "" || e.To.IsValid() || e.Protocol != ""
	v.node(path+".from", e.From, false)
	word(v, path+".protocol", e.Protocol, "protocol of a client", protocols)
	if e.Request == "" {
		if e.Answered != nil {
			v.fault(path+".answered", "only a request has an answer: name it with request")
		}
		if !others {
			v.fault(path, "the expectation does not say which packets it is about: it needs request, or some of from, to and protocol")
		}
		return
	}
	_, known := v.client(e.Request)
	switch {
	case !known:
		v.fault(path+".request", "there is no client %s", e.Request)
	case e.Answered != nil && !slices.Contains(sent, e.Request):
		v.fault(path+".request", "the request %s is not sent here: send does not name it", e.Request)
	}
	if others {
		v.fault(path, "request says which packets are meant: from, to and protocol have no place beside it")
	}
	if e.Packet == None {
		v.fault(path+".packet", "none is for packets that are described by from, to and protocol, not for a request")
	}
}

func (v *validator) place(path string, p Place) {
	if p == (Place{}) {
		v.fault(path, "the place says nothing")
	}
	v.node(path+".node", p.Node, false)
	word(v, path+".hook", p.Hook, "hook", hookNames())
	word(v, path+".table", p.Table, "table", append(trace.Tables(), trace.ConntrackTable))
	word(v, path+".verdict", p.Verdict, "verdict", verdicts)
	word(v, path+".state", p.State, "state of a connection", states)
	if hook, ok := trace.HookOf(p.Chain); ok && slices.Contains(trace.Tables(), p.Table) && !slices.Contains(trace.HooksOf(p.Table), hook) {
		v.fault(path+".chain", "the table %s has no chain %s", p.Table, p.Chain)
	}
	if p.Policy && p.Rule > 0 {
		v.fault(path+".rule", "a policy has no rule number")
	}
	if _, ok := trace.HookOf(p.Chain); p.Policy && p.Chain != "" && !ok {
		v.fault(path+".chain", "only a base chain has a policy, and %s is none", p.Chain)
	}
}

func hookNames() []string {
	var all []string
	for _, h := range trace.Hooks() {
		all = append(all, h.String())
	}
	return all
}
