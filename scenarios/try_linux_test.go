package scenarios

import (
	"testing"

	"packetwalk/lab"
	"packetwalk/lab/labtest"
)

// TestRulesWork tries the commands of the catalogue and of the description's
// example, with the variant that each is about or with both.
func TestRulesWork(t *testing.T) {
	drafts := []*Draft{Read("closed-door.yaml", documented(t))}
	for _, name := range names() {
		d, err := LoadDraft(name)
		if err != nil {
			t.Fatal(err)
		}
		drafts = append(drafts, d)
	}
	for _, variant := range lab.Variants()[1:] {
		t.Run(variant, func(t *testing.T) {
			labtest.NeedIptables(t, variant)
			for _, d := range drafts {
				if d.Scenario.Variant(variant) != variant {
					continue
				}
				faults, err := lab.TryRules(t.Context(), variant, d.Trials())
				if err != nil {
					t.Fatal(err)
				}
				for _, f := range faults {
					t.Errorf("%s: %v", d.Scenario.Name, f)
				}
			}
		})
	}
}
