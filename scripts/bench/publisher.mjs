// Publishes at a rate over HTTP, and notes how long each publish takes.

import { createHmac } from 'node:crypto';
import { Agent, request } from 'node:http';

import { KEY } from './programs.mjs';

const token = (audience) => {
    const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url');
    const time = Math.floor(Date.now() / 1000);
    const details = [{ type: 'https://mercure.rocks/authorization-detail', actions: ['publish'], topics: [{ match: '*' }] }];
    const claims = {
        iss: 'https://localhost', aud: audience, sub: 'bench', client_id: 'bench', iat: time, exp: time + 86_400,
        jti: 'bench', authorization_details: details,
    };
    const text = `${encode({ alg: 'HS256', typ: 'at+jwt' })}.${encode(claims)}`;
    return `${text}.${createHmac('sha256', KEY).update(text).digest('base64url')}`;
};

/** Publishes `rate` updates a second at a hub until it is stopped. */
export class Publisher {
    #took = [];
    #refused = new Map();
    #open = 0;

    constructor(url, rate) {
        const agent = new Agent({ keepAlive: true, maxSockets: 256 });
        const headers = { authorization: `Bearer ${token(url)}`, 'content-type': 'application/x-www-form-urlencoded' };
        const body = String(new URLSearchParams({ topic: 'https://example.com/topics/1', data: 'x'.repeat(100) }));
        const publish = () => {
            const begun = performance.now();
            this.#open++;
            const end = (status) => {
                this.#open--;
                if (status === 200) this.#took.push(performance.now() - begun);
                else this.#refused.set(status, (this.#refused.get(status) ?? 0) + 1);
            };
            const post = request(url, { method: 'POST', agent, headers }, (answer) => {
                answer.resume().on('end', () => end(answer.statusCode));
            });
            post.on('error', (error) => end(error.code)).end(body);
        };
        let due = performance.now();
        this.timer = setInterval(() => {
            for (const now = performance.now(); due <= now; due += 1_000 / rate) publish();
        }, 5);
    }

    /** Stops, and waits for the answers. */
    async stop() {
        clearInterval(this.timer);
        while (this.#open > 0) await new Promise((resolve) => { setTimeout(resolve, 10); });
        if (this.#refused.size > 0) console.error('refused publishes:', Object.fromEntries(this.#refused));
        const took = this.#took.toSorted((a, b) => a - b);
        const quantile = (part) => took[Math.min(took.length - 1, Math.floor(took.length * part))];
        return { count: took.length, p50: quantile(0.5), p99: quantile(0.99), p999: quantile(0.999), longest: took.at(-1) };
    }
}
