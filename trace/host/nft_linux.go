package host

import (
	"context"
	"os/exec"
)

// nameRules asks nft(8) for the texts of rules; without it they stay empty.
func nameRules(ctx context.Context, n *NativeChain) {
	texts := map[string]map[uint64]string{}
	for i, r := range n.Rules {
		if texts[r.Chain] == nil {
			// Without nft, or where the chain has gone meanwhile, there is no text.
			out, _ := exec.CommandContext(ctx, "nft", "-a", "list", "chain", n.Family, n.Table, r.Chain).Output()
			texts[r.Chain] = ruleTexts(string(out))
		}
		n.Rules[i].Text = texts[r.Chain][r.Handle]
	}
}
