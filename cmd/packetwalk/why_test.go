package main

import "testing"

// TestApart finds the container's name behind --from, wherever the target stands.
func TestApart(t *testing.T) {
	for _, test := range []struct {
		line, args        []string
		target, container string
	}{
		{[]string{"why", "web:80", "--from", "outside"}, []string{"web:80"}, "web:80", ""},
		{[]string{"why", "web:80", "--from", "container", "db"}, []string{"web:80", "db"}, "web:80", "db"},
		{[]string{"why", "--from", "container", "db", "web:80"}, []string{"db", "web:80"}, "web:80", "db"},
		{[]string{"why", "--from=container", "db", "--json", "web:80"}, []string{"db", "web:80"}, "web:80", "db"},
		{[]string{"why", "container", "--from", "container", "db"}, []string{"container", "db"}, "container", "db"},
		{[]string{"why", "--from", "container", "--json", "db", "web:80"}, []string{"db", "web:80"}, "", ""},
		{[]string{"why", "web", "--from", "container", "web"}, []string{"web", "web"}, "web", "web"},
		{[]string{"why", "web:80", "--from", "container web"}, []string{"web:80"}, "web:80", ""},
	} {
		target, container, err := apart(test.line, test.args)
		if (err == nil) != (test.target != "") || target != test.target || container != test.container {
			t.Errorf("%q: target %q, container %q: %v", test.line, target, container, err)
		}
	}
}
