package inquire_test

import (
	"flag"
	"testing"

	"packetwalk/lab/labtest"
)

// TestMain lets more labs live at once than there are processors: most of the
// time they wait for packets that do not come.
func TestMain(m *testing.M) {
	if err := flag.Set("test.parallel", "8"); err != nil {
		panic(err)
	}
	labtest.Main(m)
}
