package assets

import (
	_ "embed"
	"slices"
)

//go:embed scenario.schema.json
var scenarioSchema []byte

// ScenarioSchema is the JSON schema (draft 7, the one that most editors
// understand) of scenario files. The tests of package scenarios hold it to what
// the reader knows.
func ScenarioSchema() []byte { return slices.Clone(scenarioSchema) }
