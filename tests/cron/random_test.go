package cron

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"
)

// each calls a function for each question, for several concurrently, because most of the time is spent starting
// programs.
func each(questions []question, ask func(question)) {
	queue := make(chan question)
	var workers sync.WaitGroup
	for range runtime.NumCPU() {
		workers.Go(func() {
			for one := range queue {
				ask(one)
			}
		})
	}
	for _, one := range questions {
		queue <- one
	}
	close(queue)
	workers.Wait()
}

// moment returns a random time in the years whose clock changes are known. Later ones depend on the age of the time
// zone database.
func moment(random *rand.Rand) string {
	start := time.Date(2018, 1, 1, 0, 0, 0, 0, time.UTC)
	return start.Add(time.Duration(random.IntN(8*365*24*3600)) * time.Second).Format(time.RFC3339)
}

// changes returns the times at which a zone's clocks change in 2025 and 2026.
func changes(t *testing.T, zone string) []time.Time {
	location, err := time.LoadLocation(zone)
	if err != nil {
		t.Fatal(err)
	}
	var found []time.Time
	at := time.Date(2025, 1, 1, 0, 0, 0, 0, time.UTC)
	for ; at.Year() < 2027; at = at.Add(15 * time.Minute) {
		_, before := at.Add(-15 * time.Minute).In(location).Zone()
		if _, now := at.In(location).Zone(); now != before {
			found = append(found, at.In(location))
		}
	}
	return found
}

// line returns a random valid schedule: five fields, each with numbers, names, ranges, lists and steps.
func line(random *rand.Rand) string {
	return strings.Join([]string{
		field(random, 0, 59, nil), field(random, 0, 23, nil), field(random, 1, 31, nil),
		field(random, 1, 12, strings.Fields("jan feb MAR apr may Jun jul aug sep oct nov dec")),
		field(random, 0, 6, strings.Fields("sun MON tue wed Thu fri sat")),
	}, " ")
}

func field(random *rand.Rand, low, high int, names []string) string {
	// Half of all fields are stars. Otherwise hardly any schedule would run more than once a year.
	if random.IntN(2) == 0 {
		return [...]string{"*", "*", "*", "?"}[random.IntN(4)]
	}
	value := func(n int) string {
		if names != nil && random.IntN(2) == 0 {
			return names[n-low]
		}
		return fmt.Sprint(n)
	}
	var terms []string
	for range 1 + random.IntN(3)*random.IntN(2) {
		from := low + random.IntN(high-low+1)
		to := from + random.IntN(high-from+1)
		step := 1 + random.IntN(high)
		terms = append(terms, [...]string{
			value(from),
			fmt.Sprintf("%s-%s", value(from), value(to)),
			fmt.Sprintf("%s-%s/%d", value(from), value(to), step),
			fmt.Sprintf("*/%d", step),
			fmt.Sprintf("%s/%d", value(from), step),
		}[random.IntN(5)])
	}
	return strings.Join(terms, ",")
}

// damaged returns a random schedule with a change, so that it may be invalid. It never contains an H, which the
// controller does not support.
func damaged(random *rand.Rand) string {
	const letters = "0123456789*/,-? @+.ajnsu"
	text := []byte(line(random))
	if random.IntN(10) == 0 {
		text = []byte(common[random.IntN(len(common))])
	}
	for range 1 + random.IntN(2) {
		at := random.IntN(len(text))
		letter := letters[random.IntN(len(letters))]
		switch random.IntN(3) {
		case 0:
			text[at] = letter
		case 1:
			text = append(text[:at:at], append([]byte{letter}, text[at:]...)...)
		default:
			text = append(text[:at:at], text[at+1:]...)
		}
	}
	return string(text)
}
