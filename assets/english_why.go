package assets

func englishWhy() Why {
	return Why{
		Reachable: "reachable: {title}", NotReachable: "not reachable: {title}",
		Asked: "asked: {target} from {from}: {result}", AskedAbout: "asked: {target}: {result}",
		Answered: "an answer came", Refused: "refused", Unreachable: "an error came back", Silent: "nothing came back",
		Stalled: "connected, then no data came through", WithError: "{result} ({error})",
		Because: "because: {text}", Culprit: "culprit: {culprit}", Evidence: "evidence:", Opens: "what this opens up: {text}",
		Unseen: "could not be seen:", Fix: "fix, in {node}:", FixAnywhere: "fix:",
		CulpritIn: "{kind} in {node}",
		Rule:      "rule", Policy: "policy", Chain: "chain", NativeRule: "rule of nft", Route: "route", Choice: "policy rule (ip rule)", Sysctl: "kernel setting",
		Socket: "socket", Neighbor: "neighbour", Link: "interface", Connection: "tracked connection",
		RulePlace: "{table}/{chain} rule {rule}", ChainPlace: "{table}/{chain}", HandlePlace: "{table}/{chain} handle {handle}", PolicyPlace: "{table}/{chain}",
		Iptables: "{place} (iptables-{variant})",
		WalkHead: "{what} (walk {id}), {outcome}: {packet} {src} to {dst}",
		Request:  "request", Reply: "reply", Refusal: "refusal", Notice: "notice",
		Passed: "{node}: {hooks}: let through", Stop: "{node}: {place}: {verdict}", Decided: "decided here", Ended: "it ended here",
		Rewrites: "{verdict} to {addr}", Lost: "lost in {node} after {place}, outside iptables",
		MoreWalks: "more walks of this request: {n}",
	}
}

func englishWhyFix() WhyFix {
	return WhyFix{
		Question: "Run this in {node}: {commands}? [y/N] ",
		Try:      "Try this in the rebuilt copy of {node} (nothing else is changed): {commands}? [y/N] ",
		Yes:      "y yes",
		Ran:      "run in {node}: {command}", Nothing: "nothing was changed",
		ByYourself: "nothing was changed: on a host the commands are for you to run, in {node}",
		Unasked:    "nothing was changed: the standard input was one of the files, so nobody can be asked for a yes",
		NoFix:      "no command is known that mends it", Again: "what was run has not helped: the answer is the same",
		Further: "what was run has helped so far: the next obstacle is another one",
	}
}

func englishWhyScreen() WhyScreen {
	return WhyScreen{
		Title: "why {target}", TitleFrom: "why {target} from {from}", Answer: "answer",
		Sending: "sending a request to {target}, waiting for its packets …", SendingFrom: "sending a request to {target} from {from}, waiting for its packets …",
		Watching: "try {target} now, from where it does not work …", Again: "asking again: {what}", Finishing: "the fix is run; {what}",
		Running: "running in {node}: {command}",
		Failed:  "the question could not be asked: {error}", AskAgain: "{key} asks again",
		Reached: "✓ reachable", NotReached: "✗ not reachable", Waiting: "asking …",
		StepThrough: "{enter} shows the step that decided, {space} plays the walk", NoWalks: "No packet of the request was seen, so there is no walk to step through.",
		Decided: "◆ decided here: {title}", Ended: "◆ it ended here: {title}",
		MarkDecided: Term{"◆", "the step that decided what became of the request, or at which it ended"},
		FixTitle:    "fix", FixIn: "In {node}:", RunIt: "Run this in {node}? {yes} runs it, {no} does not.", RunYourself: "Run it yourself in {node}: nothing is run from here.",
		NoFix: "No command is known that mends it.", NothingToMend: "There is nothing to mend: it is reachable.", Ran: "what was run:", ExitCode: "exit code {code}", RanFailed: "could not be run: {error}",
		NotRun: "not run, because the command before it failed: {command}",
	}
}

func englishWhyKeys() WhyKeys {
	return WhyKeys{
		Walk: "change between the answer and the walk", Show: "from the answer: to the step that decided", Decided: "to the step that decided",
		Ask: "ask again", Fix: "show the fix", Yes: "run the fix that is shown", No: "do not run it",
		Next: "the next panel; where there is no room for all, between answer and walk", Pause: "play the walk, pause or go on; at the end: play again",
		WalkShort: "walk", AnswerShort: "answer", ShowShort: "what decided", DecidedShort: "what decided", AskShort: "ask again", FixShort: "fix", YesShort: "run it", NoShort: "close",
	}
}
