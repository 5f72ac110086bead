package inquire_test

import (
	"testing"
	"time"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
	"packetwalk/trace/dropped"
	"packetwalk/trace/why"
)

// TestKernelsWord holds what the kernel says of an attempt to what the answer has
// of it, and that it is silent where the answer came.
func TestKernelsWord(t *testing.T) {
	labtest.NeedIptables(t, "nft")
	if labtest.OrdinaryUser() {
		t.Skip("the kernel tells root only")
	}
	if w, err := dropped.Watch(); err != nil {
		labtest.Skip(t, err.Error())
	} else if err := w.Close(); err != nil {
		t.Fatal(err)
	}
	for name, reason := range map[string]string{"drop-rule": "NETFILTER_DROP", "nothing-listens": "NO_SOCKET"} {
		t.Run(name, func(t *testing.T) {
			c := readCase(t, "../testdata/causes/"+name+".yaml")
			l := labtest.Build(t, c.topology(t), "nft")
			if said := kernelFacts(heard(t, c, l)); name == "drop-rule" && len(said) > 0 {
				t.Errorf("of a request that was answered: %v", said)
			}
			for _, b := range c.Break {
				c.carryOut(t, l, "nft", b)
			}
			a := heard(t, c, l)
			said := kernelFacts(a)
			if len(said) != 1 || said[0]["reason"] != reason || said[0]["node"] != a.Culprit.Node || said[0]["function"] == "" {
				t.Errorf("the kernel said %v, want %s in %s; %s", said, reason, a.Culprit.Node, describe(a))
			}
		})
	}
}

// heard asks until the kernel's word has no holes: what other tests let it drop
// meanwhile, by the hundred thousand, is on record as well.
func heard(t *testing.T, c causeCase, l *lab.Lab) why.Answer {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; {
		e := evidence(t, l, "nft", c.question(t))
		if !e.DropsLost {
			return why.Explain(e)
		}
		if time.Now().After(deadline) {
			t.Fatal("the kernel drops more than is read, all the time")
		}
	}
}

// kernelFacts are the facts that the kernel told.
func kernelFacts(a why.Answer) []why.Values {
	var all []why.Values
	for _, f := range a.Evidence {
		if f.Kind == why.KernelAgrees || f.Kind == why.KernelOther {
			all = append(all, f.Values)
		}
	}
	return all
}
