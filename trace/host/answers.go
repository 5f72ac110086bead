package host

// Answers is a Looker that knows its answers beforehand. To what it does not
// know it says ENETUNREACH, as a kernel without routes does.
type Answers map[Query]Decision

// Route looks the answer up.
func (a Answers) Route(q Query) Decision {
	if d, ok := a[q]; ok {
		return d
	}
	return Decision{Err: "ENETUNREACH"}
}
