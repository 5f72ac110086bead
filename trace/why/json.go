package why

import "encoding/json"

// answerJSON is the answer in the JSON of docs/json.md.
type answerJSON struct {
	Type      string     `json:"type"`
	Target    string     `json:"target"`
	From      string     `json:"from,omitempty"`
	Reachable bool       `json:"reachable"`
	Result    Result     `json:"result"`
	Cause     Name       `json:"cause,omitempty"`
	Culprit   *Culprit   `json:"culprit,omitempty"`
	Title     string     `json:"title"`
	Because   string     `json:"because,omitempty"`
	Evidence  []factJSON `json:"evidence"`
	Fix       []string   `json:"fix"`
	FixNode   string     `json:"fixnode,omitempty"`
	Opens     string     `json:"opens,omitempty"`
	Unseen    []factJSON `json:"unseen,omitempty"`
	Walks     []int      `json:"walks"`
}

type factJSON struct {
	Fact FactKind `json:"fact"`
	Text string   `json:"text"`
	Walk int      `json:"walk,omitempty"`
	// Step counts from 0; absent where the fact is about the whole walk or none.
	Step *int `json:"step,omitempty"`
}

// JSON is the answer as one JSON object, with its sentences in a language.
func (a Answer) JSON(lang string) ([]byte, error) {
	t := a.Text(lang)
	j := answerJSON{
		Type: "answer", Target: a.Question.Target.String(), From: a.Question.From, Reachable: a.Reachable, Result: a.Attempt.Result,
		Cause: a.Cause, Culprit: a.Culprit, Title: t.Title, Because: t.Because, Evidence: factsJSON(a.Evidence, lang),
		Fix: append([]string{}, a.Fix.Commands...), FixNode: a.Fix.Node, Opens: t.Opens, Unseen: factsJSON(a.Unseen, lang), Walks: []int{},
	}
	for _, w := range a.Attempt.Walks {
		j.Walks = append(j.Walks, w.ID)
	}
	return json.Marshal(j)
}

func factsJSON(facts []Fact, lang string) []factJSON {
	all := []factJSON{}
	for _, f := range facts {
		j := factJSON{Fact: f.Kind, Text: f.Text(lang), Walk: f.Walk}
		if f.Walk > 0 && f.Step >= 0 {
			step := f.Step
			j.Step = &step
		}
		all = append(all, j)
	}
	return all
}
