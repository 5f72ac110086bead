package trace

import (
	"encoding/json"
	"net/netip"
	"time"
)

// The JSON of a walk; docs/json.md is its description.

type walkJSON struct {
	Type      string     `json:"type"`
	ID        int        `json:"id"`
	Flow      int        `json:"flow"`
	Direction Direction  `json:"direction"`
	Answers   int        `json:"answers,omitempty"`
	Packet    packetJSON `json:"packet"`
	Steps     []stepJSON `json:"steps"`
	Outcome   Outcome    `json:"outcome"`
	End       *endJSON   `json:"end,omitempty"`
}

type packetJSON struct {
	Family   string  `json:"family"`
	Proto    string  `json:"proto"`
	Src      string  `json:"src"`
	SrcName  string  `json:"srcname,omitempty"`
	SrcPort  *uint16 `json:"sport,omitempty"`
	Dst      string  `json:"dst"`
	DstName  string  `json:"dstname,omitempty"`
	DstPort  *uint16 `json:"dport,omitempty"`
	Flags    string  `json:"flags,omitempty"`
	ICMPType *uint8  `json:"icmptype,omitempty"`
	ICMPCode *uint8  `json:"icmpcode,omitempty"`
	Length   int     `json:"length"`
}

type stepJSON struct {
	Node       string          `json:"node"`
	Hook       string          `json:"hook"`
	Table      Table           `json:"table"`
	Variant    string          `json:"variant,omitempty"`
	Chain      string          `json:"chain"`
	Rule       int             `json:"rule"`
	Text       string          `json:"text"`
	Verdict    Verdict         `json:"verdict"`
	Target     string          `json:"target,omitempty"`
	Policy     bool            `json:"policy,omitempty"`
	In         string          `json:"in"`
	Out        string          `json:"out"`
	PhysIn     string          `json:"physin,omitempty"`
	PhysOut    string          `json:"physout,omitempty"`
	Src        string          `json:"src"`
	SrcName    string          `json:"srcname,omitempty"`
	Dst        string          `json:"dst"`
	DstName    string          `json:"dstname,omitempty"`
	Unseen     bool            `json:"unseen,omitempty"`
	CTState    CTState         `json:"ctstate"`
	Remembered *rememberedJSON `json:"remembered,omitempty"`
	Time       string          `json:"time"`
}

type rememberedJSON struct {
	Walk   int    `json:"walk"`
	Node   string `json:"node"`
	Table  Table  `json:"table"`
	Chain  string `json:"chain"`
	Rule   int    `json:"rule"`
	Undone bool   `json:"undone"`
}

type endJSON struct {
	Node    string  `json:"node"`
	Hook    string  `json:"hook"`
	Table   Table   `json:"table"`
	Chain   string  `json:"chain"`
	Rule    int     `json:"rule"`
	Verdict Verdict `json:"verdict"`
	Policy  bool    `json:"policy,omitempty"`
}

// MarshalJSON writes the walk as docs/json.md describes it.
func (w Walk) MarshalJSON() ([]byte, error) {
	out := walkJSON{
		Type: "walk", ID: w.ID, Flow: w.Flow, Direction: w.Direction, Answers: w.Answers,
		Packet: w.Packet.json(), Steps: make([]stepJSON, len(w.Steps)), Outcome: w.Outcome,
	}
	out.Packet.SrcName, out.Packet.DstName = w.Names[w.Packet.Src.Addr()], w.Names[w.Packet.Dst.Addr()]
	for i, s := range w.Steps {
		out.Steps[i] = s.json()
		out.Steps[i].SrcName, out.Steps[i].DstName = w.Names[s.Src.Addr()], w.Names[s.Dst.Addr()]
	}
	if s, ok := w.EndStep(); ok {
		out.End = &endJSON{s.Node, s.Hook.String(), s.Table, s.Chain, s.Rule, s.Verdict, s.Policy}
	}
	return json.Marshal(out)
}

func (p Packet) json() packetJSON {
	out := packetJSON{
		Family: p.Family.String(), Proto: p.Proto.String(), Length: p.Length,
		Src: p.Src.Addr().String(), Dst: p.Dst.Addr().String(),
	}
	if p.HasPorts() {
		sport, dport := p.Src.Port(), p.Dst.Port()
		out.SrcPort, out.DstPort = &sport, &dport
	}
	switch p.Proto {
	case TCP:
		out.Flags = p.Flags.String()
	case ICMP, ICMPv6:
		out.ICMPType, out.ICMPCode = &p.ICMPType, &p.ICMPCode
	}
	return out
}

func (s Step) json() stepJSON {
	out := stepJSON{
		Node: s.Node, Hook: s.Hook.String(), Table: s.Table, Chain: s.Chain, Rule: s.Rule, Text: s.Text,
		Verdict: s.Verdict, Target: s.Target, Policy: s.Policy, In: s.In, Out: s.Out, PhysIn: s.PhysIn, PhysOut: s.PhysOut,
		Src: Address(s.Src), Dst: Address(s.Dst), Unseen: s.Unseen, CTState: s.CTState, Time: s.Time.UTC().Format(time.RFC3339Nano),
	}
	if s.Table != ConntrackTable {
		out.Variant = s.Variant.String()
	}
	if r := s.Remembered; r != nil {
		out.Remembered = &rememberedJSON{r.Walk, r.Node, r.Table, r.Chain, r.Rule, r.Undone}
	}
	return out
}

// Address writes an address with its port where it has one.
func Address(a netip.AddrPort) string {
	if a.Port() == 0 {
		return a.Addr().String()
	}
	return a.String()
}
