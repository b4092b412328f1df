-- Runs behind test_setup.  Plans of later tests need every row of these tables visible to
-- all, and a catalogue that pgrecall was reading may have kept test_setup's VACUUM from that.
DO $$
BEGIN
  FOR i IN 1..100 LOOP
    EXIT WHEN NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = current_database()
                          AND pid <> pg_backend_pid() AND backend_xmin IS NOT NULL);
    PERFORM pg_sleep(0.1), pg_stat_clear_snapshot();
  END LOOP;
END $$;
VACUUM onek, onek2, tenk1, tenk2;
