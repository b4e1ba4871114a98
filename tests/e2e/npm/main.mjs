/*
 * main.mjs - all tests of npm's clients, in one plan.
 */
import './client.mjs';
import './stored.mjs';
import './socket.mjs';
import './limits.mjs';
import './azure.mjs';
import './frameworks.mjs';
import './tools.mjs';
import { main } from './tap.mjs';

await main();
