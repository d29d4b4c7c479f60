drop function conveyor.add_job;

drop function conveyor.add_many;

drop function conveyor.check_word;

drop function conveyor.refuse;

drop function conveyor.new_id;

drop trigger live_watched on conveyor.live;

drop trigger live_moved on conveyor.live;

drop trigger live_reported on conveyor.live;

drop trigger history_watched on conveyor.history;

drop trigger history_written on conveyor.history;

drop function conveyor.prune_events;

drop function conveyor.write_end;

drop function conveyor.write_progress;

drop function conveyor.write_move;

drop function conveyor.write_event;

drop function conveyor.look_for_watchers;

drop table conveyor.events_forgotten;

drop table conveyor.event_marks;

drop table conveyor.watchers;

drop table conveyor.events;

drop trigger live_renamed on conveyor.live;

drop trigger live_group_waits on conveyor.live;

drop function conveyor.count_group;

drop function conveyor.add_sized_keyed_job;

drop function conveyor.add_sized_jobs;

drop function conveyor.lock_guarded;

drop function conveyor.lock_in_turns;

drop function conveyor.move_groups;

drop function conveyor.idle_groups;

drop function conveyor.leave_round;

drop function conveyor.lock_alike;

drop function conveyor.group_waits;

drop function conveyor.gather_groups;
drop function conveyor.join_groups;

drop function conveyor.lock_guarded_suspect;

drop function conveyor.start_guarded;

drop function conveyor.group_head;

drop function conveyor.newest_head;

drop function conveyor.obstacle;

drop function conveyor.rates_of;

drop function conveyor.charge_rate;

drop function conveyor.bucket_level;

drop function conveyor.rate_room;

drop function conveyor.join_round;

drop function conveyor.name_group;

drop function conveyor.admit_groups;

drop function conveyor.group_of;

drop function conveyor.suspect_queues;

drop function conveyor.next_delayed;

drop function conveyor.append_logs;

drop function conveyor.set_progress;

drop function conveyor.promote_delayed_jobs;

drop function conveyor.release_locks;

drop function conveyor.held_jobs;

drop function conveyor.settle_and_fetch;

drop function conveyor.settle_jobs;

drop function conveyor.put_off_jobs;

drop function conveyor.end_jobs;

drop function conveyor.count_runs;

drop function conveyor.add_counts;

drop function conveyor.fetch_jobs;

drop function conveyor.make_guards;

drop function conveyor.note_fetch;

drop type conveyor.fetched_job;

drop function conveyor.reopen_in_flows;

drop function conveyor.remove_from_flows;

drop function conveyor.tell_of_runs;

drop function conveyor.tell_parents;

drop function conveyor.forget_parents;

drop function conveyor.go_on;

drop function conveyor.lock_flows_of_expired;

drop function conveyor.lock_flows_of_stalled;

drop function conveyor.lock_all_flows;

drop function conveyor.lock_flows;

drop function conveyor.expire_jobs;

drop function conveyor.expire_jobs_of;

drop function conveyor.add_deduplicated_jobs;

drop function conveyor.meet_key;

drop function conveyor.add_some_jobs;

drop function conveyor.take_free_keys;
drop function conveyor.take_or_meet_keys;

drop function conveyor.add_flow;

drop function conveyor.add_to_buffer;
drop function conveyor.leave_buffer;
drop function conveyor.buffer_digest;

drop function conveyor.add_jobs;

drop function conveyor.micros;

drop function conveyor.sayable;

drop function conveyor.drop_partition;

drop function conveyor.make_partitions;

drop function conveyor.make_partition;

drop function conveyor.save_step;

drop function conveyor.matching_jobs;

drop function conveyor.find_settled;

drop function conveyor.find_jobs;

drop view conveyor.job_records;

drop view conveyor.queue_names;

drop table conveyor.batch_errors, conveyor.batch_parts, conveyor.batches, conveyor.run_counts, conveyor.buffer_merges, conveyor.buffer_takes, conveyor.buffered, conveyor.starts, conveyor.rates, conveyor.queue_groups, conveyor.guards, conveyor.new_guards, conveyor.schedules, conveyor.paused, conveyor.queues, conveyor.workers, conveyor.sessions, conveyor.deduplicated_adds, conveyor.deduplication_keys, conveyor.removed, conveyor.logs, conveyor.attempts, conveyor.flow_edges, conveyor.flow_parents, conveyor.history, conveyor.live;

drop function conveyor.fingerprint_of;

drop sequence conveyor.job_seq;

drop sequence conveyor.buffered_seq;
