package dev.loopline.client;

import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

import com.sun.net.httpserver.HttpServer;
import java.io.IOException;
import java.net.InetAddress;
import java.net.InetSocketAddress;
import java.nio.charset.StandardCharsets;
import java.time.Duration;
import java.util.Arrays;
import java.util.Iterator;
import java.util.concurrent.atomic.AtomicInteger;
import org.junit.jupiter.api.AfterEach;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;

/** A service that cannot answer now is asked again; any other error is told at once. */
class RetryTest {
    private static final OnlineRequest REQUEST = OnlineRequest.features("history").entity("customer_id", 1).build();
    private static final String ANSWER = "{\"at\":\"2026-03-01T12:00:00.000000Z\",\"entities\":{},\"features\":{},\"views\":{}}";
    private static final String BUSY = "{\"error\":{\"problem\":\"the store is busy\",\"fix\":\"wait\"}}";

    private final AtomicInteger asked = new AtomicInteger();
    private HttpServer server;

    @BeforeEach
    void start() throws IOException {
        server = HttpServer.create(new InetSocketAddress(InetAddress.getLoopbackAddress(), 0), 0);
        server.start();
    }

    @AfterEach
    void stop() {
        server.stop(0);
    }

    /** After as long as the service asks for, the request is sent again. */
    @Test
    void busyOnceThenAnswered() {
        answer(503, 200);
        long began = System.nanoTime();
        assertEquals(ANSWER, new String(client(2).getOnline(REQUEST).raw(), StandardCharsets.UTF_8));
        assertEquals(2, asked.get());
        assertTrue(System.nanoTime() - began >= Duration.ofSeconds(1).toNanos());
    }

    /** A service that stays busy is given up on, with its own words. */
    @Test
    void busyForEver() {
        answer(503, 503);
        LooplineException failure = assertThrows(LooplineException.class, () -> client(1).getOnline(REQUEST));
        assertEquals("the store is busy", failure.problem());
        assertEquals(503, failure.status());
        assertEquals(2, asked.get());
    }

    /** An answer that is no error of ours still says the status, and is not asked for twice. */
    @Test
    void anotherServer() {
        answer(502);
        LooplineException failure = assertThrows(LooplineException.class, () -> client(2).getOnline(REQUEST));
        assertEquals("the service answered 502", failure.problem());
        assertEquals(1, asked.get());
    }

    /** Where nothing listens, the error names the URL. */
    @Test
    void nobodyListens() {
        FeaturesClient client = client(1);
        server.stop(0);
        LooplineException failure = assertThrows(LooplineException.class, () -> client.getOnline(REQUEST));
        assertTrue(failure.problem().contains("did not answer"));
        assertEquals("see whether the service runs", failure.fix());
    }

    private FeaturesClient client(int retries) {
        String url = "http://127.0.0.1:" + server.getAddress().getPort();
        return FeaturesClient.of(url, "shop").timeout(Duration.ofSeconds(5)).retries(retries).build();
    }

    private void answer(Integer... statuses) {
        Iterator<Integer> next = Arrays.asList(statuses).iterator();
        server.createContext("/features/online", exchange -> {
            asked.incrementAndGet();
            int status = next.next();
            byte[] body = (status == 200 ? ANSWER : status == 503 ? BUSY : "<html>").getBytes(StandardCharsets.UTF_8);
            exchange.getResponseHeaders().set("retry-after", "1");
            exchange.sendResponseHeaders(status, body.length);
            exchange.getResponseBody().write(body);
            exchange.close();
        });
    }
}
