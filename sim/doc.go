// Package sim is a Threat Stack server and an EC2 server, each an
// [http.Handler] that keeps its state in memory and can be told to fail.
//
// [ThreatStack] speaks version 2 of the Threat Stack REST API: requests are
// signed with Hawk (HMAC-SHA256, ext is the organization), answers are JSON and
// carry Server-Authorization, lists come in pages with an opaque token, and an
// organization has a budget of requests per minute.
//
// [EC2] speaks the AWS Query protocol of EC2 (version 2016-11-15) for network
// ACLs and what surrounds them, GetCallerIdentity of STS (2011-06-15), and
// GetServiceQuota of Service Quotas (2019-06-24, JSON 1.1 with the action in
// X-Amz-Target), which answers the quota that writes are held to. Requests are
// signed with Signature Version 4, each for its service, and the whole signature
// is checked. It keeps AWS's rules for network ACL entries: the quota for each
// direction and family with the default deny counted, canonical prefixes,
// DryRun as an error, an identical create that succeeds.
//
// Faults are knobs: [ThreatStackFaults] and [EC2Faults]. A [Chance] strikes the
// next n times, or at a rate drawn from a seeded source, so a run repeats. Each
// way in which a write can fail exists twice: before the effect and after it.
// A lost connection is a panic with [http.ErrAbortHandler], which a server turns
// into a closed connection and [Transport] into an error.
//
// Handlers start no goroutine and read the clock with time.Now, so behind
// Transport they run in the virtual time of testing/synctest. What is due later
// (a queued dismissal, a request that lands late) happens when the state is
// next looked at, with the time at which it was due.
//
// [World] is both servers with a small company in them and a story that is told
// by [World.Run], or at once by playing each of [Steps].
//
// # Control
//
// [World.Control] is for people and scripts, to be served on loopback only:
//
//	GET  /_sim/acl                     every network ACL with its entries
//	GET  /_sim/requests                requests to both servers, counted
//	GET  /_sim/fault                   the faults now set
//	POST /_sim/fault                   {"ec2":{"throttle":{"next":3},"late_by":"30s"},"threatstack":{"latency":"2s"}}
//	POST /_sim/quota                   {"quota":40}
//	POST /_sim/alert                   {"alert":{"title":"…"},"events":[{"connection":{"dst_addr":"203.0.113.9","dst_port":443}}]}
//	POST /_sim/event?alert=ID          {"connection":{"dst_addr":"203.0.113.10","dst_port":443}}
//
// A fault sets only the keys that it names; durations are texts such as "30s".
// An alert without a rule gets the watched one, an event without an agent the
// alert's. Unknown keys are refused.
package sim
