package assets

func englishLesson() Lesson {
	return Lesson{
		StepOf: "step {step} of {steps}", Step: "{step}/{steps}",
		Preparing: "The lab is being built …", Running: "running: {command}", Busy: "working …", Checking: "looking whether the goal is reached …",
		ReadOn: "{key} goes on once you have read this", GoOn: "{key} goes on", ChooseOne: "Choose an answer: 1 to {n}, or ↑ ↓ and enter. n goes on without.",
		GoalOpen: "The goal is not reached yet. n goes on all the same.", AllDone: "That was the last step. q quits, b goes back.",
		Question: "Question", Walked: "What happened", After: "Afterwards", Goal: "Goal", Solution: "Solution",
		Hint: "Hint {n}: {text}", HintsLeft: "Hints left: {n}, with {key}",
		ExitCode: "exit code {code}", Meant: "exit code {code}, as expected", Omitted: "… and {n} more bytes that are not shown",
		RemoteOn: "Remote mode: space and PageDown go on, b and PageUp go back; {key} ends it.", RemoteOff: "Remote mode is over.",
		TakenBack: "undone", Undone: "undone: {command}", UndoneOther: "the last change is undone", NothingToUndo: "Nothing was changed here that could be undone.",
		Right: "Right", Wrong: "Not quite", RightIs: "Right is {n}: {text}", NotAnswered: "You gave no answer.",
		Reached: "reached", NotReached: "not reached yet", GoalState: "Goal: {state}",
		Status: "{request}: status {status}, {bytes} bytes, after {rtt}", Answered: "{request}: {bytes} bytes back, after {rtt}",
		NoAnswer: "{request}: no answer: {error}",
		Earlier:  "{n} earlier: {key}", RulesChanged: "Not in this chain as it is now. What the packet met:",
	}
}

func englishExpectations() Expectations {
	return Expectations{
		First: "The first packet of {what}", Reply: "The first reply to {what}", Every: "Every packet of {what}", None: "No packet of {what} is seen",
		Request: "request {request}", Packets: "{protocol} traffic{from}{to}", From: " from {node}", To: " to {addr}", Sentence: "{subject} {clauses}", Join: "; ",
		Answered: "the request gets an answer", NotAnswered: "the request gets no answer", Outcome: "is {outcome}", At: "ends in {node}",
		End: "ends at {place}", Through: "passes {places}", Avoids: "does not pass {places}",
		Src: "ends with source {addr}", Dst: "ends with destination {addr}",
		Rule: "rule {rule}", Policy: "policy", In: "in by {name}", Out: "out by {name}", State: "state {state}",
	}
}

func englishFaults() Faults {
	return Faults{
		NoPacket: "no such packet was seen", SeenPacket: "such a packet was seen", NoAnswer: "there was no answer", HasAnswer: "there was an answer",
		WrongOutcome: "it ended otherwise", WrongNode: "it ended in another node", WrongEnd: "something else ended it",
		NotThrough: "it took another way", NotAvoided: "it took the way that it must not take", WrongAddress: "its addresses were others",
		Instead: "{fault}: {outcome}", InWalk: "{fault} (walk {walk})",
	}
}

func englishPrompt() Prompt {
	return Prompt{
		Command: "enter runs · tab other node · ↑ ↓ earlier commands · esc closes", Shell: "Shell in which node?",
		ResetStep:     "Put the lab back to how it was at the beginning of this step?",
		ResetScenario: "Put the lab back to the beginning of the first step?",
		Solve:         "Carry out the solution?",
		YesNo:         "y yes · n no", ShellFailed: "the shell in {node}: {error}", NoShell: "There is no shell to open here.",
		ShellOpens: "A shell in {node}. exit or ctrl-d leads back to packetwalk.",
	}
}

func englishLessonKeys() LessonKeys {
	return LessonKeys{
		GoOn: "go on: read, answer, watch, next step", Back: "back to the step before", View: "lesson or stage, where there is no room for both",
		Choose: "choose an answer", Command: "run one command in a node", Shell: "open a shell in a node", Undo: "undo the last change of the lab",
		ResetStep: "reset the step", ResetScenario: "reset the whole scenario",
		Hint: "a hint", Solution: "show the solution", Solve: "carry out the solution", Older: "list earlier walks, too",
		Remote: "remote mode: space and PageDown go on, b and PageUp go back", Resend: "send the requests again, look at the goal again",
		GoOnShort: "go on", BackShort: "back", LessonShort: "lesson", StageShort: "stage", ChooseShort: "answer", CommandShort: "command", ShellShort: "shell", UndoShort: "undo",
		HintShort: "hint", SolutionShort: "solution", SolveShort: "solve", ResetShort: "reset", SkipShort: "skip to the end", MoreShort: "read on", AnswerShort: "choose",
	}
}
