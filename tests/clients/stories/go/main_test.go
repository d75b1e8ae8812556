package main

import (
	"encoding/json"
	"strings"
	"testing"

	node "nodeclient"
)

const incidentDocument = `{"type":"incident","origin":"arnia","key":"2026-0042","revision":1,"tlp":"CLEAR",
 "created_at":"2026-03-01T08:00:00Z","updated_at":"2026-03-01T08:00:00Z","content":{"title":{"en":"GLPI"},
 "summary":{"en":"Fixed."},"kind":"vulnerability","status":"open","severity":"high",
 "affects":[{"solution":"arnia/glpi","range":"RANGE"}]}}`

// An answer that is a record or a preview is compared with the patterns of the document, by the validator.
func TestAnAnswerIsComparedWithThePatternsOfTheDocument(t *testing.T) {
	for text, right := range map[string]bool{
		"vers:generic/>=10.0.0|<10.0.18": true,
		"vers:generic":                   false,
		"10.0.0 to 10.0.18":              false,
	} {
		answer := node.IncidentOrPreview{}
		err := json.Unmarshal([]byte(strings.Replace(incidentDocument, "RANGE", text, 1)), &answer)
		if (err == nil) != right {
			t.Errorf("%s: %v", text, err)
		}
		if right && answer.IncidentDocument == nil {
			t.Errorf("%s: no incident was read", text)
		}
	}
}
