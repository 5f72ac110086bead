package assets

// Lesson is what the screen and the plain printer say of a lesson.
type Lesson struct {
	// StepOf is the place in the lesson; Step is its short form.
	StepOf, Step string
	// What goes on in a step.
	Preparing, Running, Busy, Checking string
	// What is asked of the user.
	ReadOn, GoOn, ChooseOne, GoalOpen, AllDone string
	// Above the parts of a step.
	Question, Walked, After, Goal, Solution string
	// Hint is a hint with its number; HintsLeft says how many more there are.
	Hint, HintsLeft string
	// ExitCode is said of a command that failed, Meant where it was meant to.
	ExitCode, Meant string
	// TakenBack is said of a command whose change was undone; Undone names it, and
	// UndoneOther is for a change that no command of the lesson made.
	TakenBack, Undone, UndoneOther, NothingToUndo string
	// RemoteOn and RemoteOff tell that remote mode begins and ends.
	RemoteOn, RemoteOff string
	// Omitted says how many bytes of output were too many to keep.
	Omitted string
	// The answer to the question.
	Right, Wrong, RightIs, NotAnswered string
	// The goal.
	Reached, NotReached, GoalState string
	// Sent and its answer; Status has the code of HTTP.
	Status, Answered, NoAnswer string
	// Earlier says how many walks are not listed, and the key that lists them.
	Earlier string
	// RulesChanged is said where a chain no longer has the rule that the packet met.
	RulesChanged string
}

// Expectations says what was expected of packets, where a scenario does not say
// it itself: one of the first four, with what packets are meant, then what must
// hold of them.
type Expectations struct {
	First, Reply, Every, None string
	// Of is the packets of a client; From, To and Of make up other packets.
	Request, Packets, From, To string
	// Sentence puts both together; Join stands between the parts.
	Sentence, Join string

	Answered, NotAnswered, Outcome, At, End, Through, Avoids, Src, Dst string
	// Place and its parts.
	Rule, Policy, In, Out, State string
}

// Faults says why an expectation does not hold.
type Faults struct {
	NoPacket, SeenPacket, NoAnswer, HasAnswer                               string
	WrongOutcome, WrongNode, WrongEnd, NotThrough, NotAvoided, WrongAddress string
	// Instead is what happened, after the fault; InWalk says in which walk.
	Instead, InWalk string
}

// Prompt is what is asked at the bottom of the screen.
type Prompt struct {
	Command, Shell              string
	ResetStep, ResetScenario    string
	Solve                       string
	YesNo, ShellFailed, NoShell string
	// ShellOpens is printed in front of a shell.
	ShellOpens string
}

// LessonKeys describes the keys of a lesson; the short forms stand in the footer.
type LessonKeys struct {
	GoOn, Back, View, Choose, Command, Shell, Undo, ResetStep, ResetScenario string
	Hint, Solution, Solve, Older, Remote, Resend                             string

	GoOnShort, BackShort, LessonShort, StageShort, ChooseShort, CommandShort, ShellShort, UndoShort string
	HintShort, SolutionShort, SolveShort, ResetShort, SkipShort, MoreShort, AnswerShort             string
}
