package bench

import (
	"math"
	"runtime"
	"runtime/metrics"
	"sync/atomic"
	"time"
)

// Number of garbage collections to run during calls, and the longest time to try.
const (
	collections = 5
	pauseTime   = time.Second
)

// pause repeats a call during garbage collections and returns the longest pause that a
// collection caused, in ms, rounded up to a bucket of the runtime's histogram.
func pause(call func() error) (float64, error) {
	const name = "/sched/pauses/total/gc:seconds"
	before, after := []metrics.Sample{{Name: name}}, []metrics.Sample{{Name: name}}
	metrics.Read(before)
	var begun atomic.Int64
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				runtime.GC()
				begun.Add(1)
			}
		}
	}()
	var err error
	for start := time.Now(); err == nil; {
		err = call()
		if begun.Load() >= collections || time.Since(start) > pauseTime {
			break
		}
	}
	close(stop)
	<-done
	metrics.Read(after)
	return worst(before[0].Value, after[0].Value), err
}

// worst returns the upper bound, in ms, of the highest bucket that grew between two readings of
// a histogram of seconds; 0 if the runtime has no such histogram.
func worst(before, after metrics.Value) float64 {
	if before.Kind() != metrics.KindFloat64Histogram || after.Kind() != metrics.KindFloat64Histogram {
		return 0
	}
	b, a := before.Float64Histogram(), after.Float64Histogram()
	for i := len(a.Counts) - 1; i >= 0; i-- {
		if a.Counts[i] > b.Counts[i] {
			if end := a.Buckets[i+1]; !math.IsInf(end, 1) {
				return 1e3 * end
			}
			return 1e3 * a.Buckets[i]
		}
	}
	return 0
}
