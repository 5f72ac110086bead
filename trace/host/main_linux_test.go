package host_test

import (
	"testing"

	"packetwalk/lab/labtest"
)

func TestMain(m *testing.M) { labtest.Main(m) }
