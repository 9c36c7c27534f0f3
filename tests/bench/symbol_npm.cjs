// npm qrcode on the same text as symbol.rs, with the same lines as output.
const qrcode = require('qrcode')

const TEXT = 'HTTPS://Q.EXAMPLE/R/K7M2Q9XP'

async function main () {
  for (const [format, rounds, draw] of [
    ['svg', 1000, width => qrcode.toString(TEXT, { type: 'svg', width, errorCorrectionLevel: 'M' })],
    ['png', 100, width => qrcode.toBuffer(TEXT, { width, errorCorrectionLevel: 'M' })]
  ]) {
    for (const size of [256, 264]) {
      const times = []
      for (let round = 0; round < rounds * 2; round++) {
        const start = process.hrtime.bigint()
        await draw(size)
        // The first half warms up.
        if (round >= rounds) times.push(Number(process.hrtime.bigint() - start) / 1000)
      }
      times.sort((a, b) => a - b)
      const micros = Math.round(times[rounds / 2])
      console.log(['npm qrcode', format, size, micros, (await draw(size)).length].join('\t'))
    }
  }
}

main()
