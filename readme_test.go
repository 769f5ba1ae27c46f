package clary_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// blocks returns the README's fenced blocks in a language.
func blocks(t *testing.T, language string) []string {
	t.Helper()
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	for _, rest := range strings.Split(string(text), "\n```"+language+"\n")[1:] {
		block, _, closed := strings.Cut(rest, "\n```\n")
		if !closed {
			t.Fatalf("a block of %s has no end", language)
		}
		list = append(list, block+"\n")
	}
	if len(list) == 0 {
		t.Fatalf("the README has no block of %s", language)
	}
	return list
}

func TestTheReadmeShowsTheExampleScripts(t *testing.T) {
	files, err := filepath.Glob("examples/*/train.py")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	shown := strings.Join(blocks(t, "python"), "\x00")
	for _, file := range files {
		script, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if !strings.Contains(shown, string(script)) {
			t.Errorf("the README does not show %s as it is", file)
		}
	}
}

// What the README shows after a command is what the server answers.
func TestTheReadmesCommandsAnswerAsShown(t *testing.T) {
	p := start(t, "serve", nil, "testdata/models/iris")
	for _, block := range blocks(t, "console") {
		for _, entry := range strings.Split("\n"+block, "\n$ ")[1:] {
			command, want := entry, ""
			if i := regexp.MustCompile(`[^\\]\n`).FindStringIndex(entry); i != nil {
				command, want = entry[:i[1]], strings.TrimSpace(entry[i[1]:])
			}
			cmd := exec.Command("sh", "-c", strings.ReplaceAll(command, "localhost:8080", p.base))
			got, err := cmd.CombinedOutput()
			if err != nil {
				t.Errorf("%s: %v", command, err)
			}
			if strings.TrimSpace(string(got)) != want {
				t.Errorf("%s\nanswers %s\nthe README says %s", command, got, want)
			}
		}
	}
}

func TestTheReadmesHandlerCompilesAndServes(t *testing.T) {
	programs := blocks(t, "go")
	dir := t.TempDir()
	source := filepath.Join(dir, "main.go")
	if err := os.WriteFile(source, []byte(programs[0]), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("go", "build", "-o", filepath.Join(dir, "inches"), source).CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	binary, err := filepath.Rel(binaries, filepath.Join(dir, "inches"))
	if err != nil {
		t.Fatal(err)
	}
	p := start(t, binary, nil, "testdata/models/iris")
	if a := p.invoke("text/csv", "2.5,1.2,2,0.71", "Accept", "text/csv"); a.status != 200 || !strings.HasPrefix(a.body, "2,") {
		t.Errorf("it answers %d %s", a.status, a.body)
	}
}

// A link in the documentation leads to a file.
func TestLinksLeadSomewhere(t *testing.T) {
	pages, err := filepath.Glob("docs/*.md")
	if err != nil || len(pages) == 0 {
		t.Fatalf("no pages: %v", err)
	}
	link := regexp.MustCompile(`\]\(([^)#:]+)\)`)
	for _, page := range append(pages, "README.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s: %v", page, err)
			}
		}
	}
}
