package why

import "slices"

// Text is an answer's sentences in one language.
type Text struct {
	// Title says in one line what is wrong, or that all is well.
	Title string
	// Because explains it; empty where the target is reached.
	Because string
	// Opens says what the fix lets through beside; empty where there is no fix.
	Opens string
}

// reached is said of a target that was reached.
var reached = Words{En: "{target} is reached from {from}", Zh: "从 {from} 可以访问 {target}"}

// Text is the answer in a language.
func (a Answer) Text(lang string) Text {
	if a.Reachable {
		v := Values{"target": a.Question.Target.String(), "from": a.Question.From}
		return Text{Title: v.fill(reached.In(lang))}
	}
	entry := causeUnknown
	if i := slices.IndexFunc(causes, func(c Cause) bool { return c.Name == a.Cause }); i >= 0 {
		entry = causes[i]
	}
	t := Text{Title: a.Values.fill(entry.Title.In(lang)), Because: a.Values.fill(entry.Because.In(lang))}
	if len(a.Fix.Commands) > 0 {
		t.Opens = a.Values.fill(entry.Opens.In(lang))
	}
	return t
}
