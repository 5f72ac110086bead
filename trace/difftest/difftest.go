// Package difftest compares what packetwalk reports with what the kernel
// itself says. Its tests load random rulesets of both address families into the
// router of a small lab, send random packets through it and hold the walks that
// the NFLOG probes lead to against the messages of nf_tables' own trace: the
// same rules, the same verdicts, in the same order.
//
//	go test ./trace/difftest                  30 rulesets
//	go test ./trace/difftest -full            300 rulesets
//	go test ./trace/difftest -seed 17         the ruleset that seed 17 makes
//	go test ./trace/difftest -seed 1000 -rulesets 50
//
// There is nothing in it but tests. The kernel's trace knows rules by handle,
// and marks only packets of the nf_tables variant; the legacy variant has the
// same planner and the same assembler above it.
package difftest
