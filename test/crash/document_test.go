package crash

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func sectionWith(t *testing.T, change func(map[string]Figures)) string {
	t.Helper()
	figures := make(map[string]Figures)
	for _, r := range rows {
		figures[r.key] = Figures{Deaths: kills, Clusters: migrations, Jobs: migrations, Settled: 7}
	}
	change(figures)
	section, err := Section(figures)
	require.NoError(t, err)
	return section
}

func TestSectionNeedsAllFigures(t *testing.T) {
	_, err := Section(map[string]Figures{rowEveryPoint: {}})
	require.ErrorContains(t, err, rowEveryPointDir)
}

func TestUpdate(t *testing.T) {
	section := sectionWith(t, func(map[string]Figures) {})
	document, err := Update("# Title\n\ntext\n", section)
	require.NoError(t, err)
	assert.Equal(t, "# Title\n\ntext\n\n"+section, document)

	newer := sectionWith(t, func(f map[string]Figures) { f[rowKill] = Figures{Twice: 1234} })
	require.Contains(t, newer, "1,234")
	document, err = Update(document+"\n## Later\n", newer)
	require.NoError(t, err)
	assert.Equal(t, "# Title\n\ntext\n\n"+newer+"\n## Later\n", document)

	for _, broken := range []string{sectionBegin, sectionEnd, sectionEnd + sectionBegin} {
		_, err = Update(broken, section)
		assert.ErrorContains(t, err, "marks")
	}
}

func TestCheck(t *testing.T) {
	for _, c := range []struct {
		name    string
		row     string
		change  func(*Figures)
		current bool
	}{
		{"nothing has changed", rowKill, func(*Figures) {}, true},
		{"a cluster was migrated twice", rowKill, func(f *Figures) { f.Twice = 1 }, false},
		{"an id was lost", rowPairs, func(f *Figures) { f.Lost = 1 }, false},
		{"a record was lost", rowEveryPointDir, func(f *Figures) { f.Writes = 1 }, false},
		{"a migration was not finished", rowEveryPoint, func(f *Figures) { f.Unfinished = 1 }, false},
		{"a process was not killed", rowKill, func(f *Figures) { f.Deaths-- }, false},
		{"more events", rowEveryPoint, func(f *Figures) { f.Deaths++ }, true},
		{"more for the person to do", rowKill, func(f *Figures) { f.Settled++ }, true},
		{"more harm without intents", rowNaiveKill, func(f *Figures) { f.Jobs++ }, true},
	} {
		t.Run(c.name, func(t *testing.T) {
			document := "text\n\n" + sectionWith(t, func(map[string]Figures) {})
			err := Check(document, sectionWith(t, func(figures map[string]Figures) {
				f := figures[c.row]
				c.change(&f)
				figures[c.row] = f
			}))
			if c.current {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, "not current")
		})
	}
	require.ErrorContains(t, Check("text\n", sectionWith(t, func(map[string]Figures) {})), "no section")
}
